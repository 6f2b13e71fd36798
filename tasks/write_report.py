"""Stage `report`: one self-contained HTML file with everything measured, a model card and a data set card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from schemas.configs.report import ReportConfig
from tasks.running.context import RunContext
from tasks.running.stage import Stage, StageOutcome, StagePlan
from thinkless_core.progress import Progress

REPORT_FILE = "report.html"


class WriteReport(Stage[ReportConfig]):
    """Writes the report and both cards."""

    name = "report"
    config = ReportConfig
    needs = ("base", "problems", "teach-think", "teach-short", "pairs", "sft", "rl", "evaluate")
    resources = ("infra/report/html", "infra/catalog/sql")

    def build(
        self, plan: StagePlan[ReportConfig], context: RunContext, workspace: Path, progress: Progress
    ) -> StageOutcome:
        """Write `report.html`, `dropped.csv` if rows were left out, `model_card.md` and `dataset_card.md`."""
        from infra.report.cards.dataset_card import dataset_card
        from infra.report.cards.model_card import model_card
        from infra.report.data.evidence import write_dropped_rows
        from infra.report.page import render_report
        from infra.report.run_inputs import inputs_of_artifacts
        from tasks.source_licences import source_licences

        inputs = inputs_of_artifacts(
            context.store,
            [(artifact.stage, artifact.key) for artifact in plan.inputs],
            config=plan.config,
            profile=context.profile,
            run_id=context.run_id,
            to_artifacts="../..",
        )
        inputs = replace(inputs, licences=source_licences(inputs.ordered_manifests()))
        (workspace / REPORT_FILE).write_text(render_report(inputs), encoding="utf-8")
        write_dropped_rows(inputs, workspace / inputs.dropped_file)
        (workspace / "model_card.md").write_text(model_card(inputs), encoding="utf-8")
        (workspace / "dataset_card.md").write_text(dataset_card(inputs), encoding="utf-8")
        progress(1, 1, {})
        return StageOutcome(rows=1)
