"""Stage `report`: everything measured, as one self-contained HTML file with a model card and a data set card."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from prefect import task

from infra.report.cards import dataset_card, model_card
from infra.report.inputs import ReportInputs
from infra.report.page import render_report
from schemas.artifact import Artifact, Manifest
from schemas.configs.report import ReportConfig
from tasks.build_pairs import FILE as PAIRS_FILE
from tasks.context import RunContext, StageOutcome, StagePlan, make_plan
from tasks.evaluate_models import COMPLETIONS_FILE, SUMMARY_FILE
from tasks.prepare_problems import FILE as PROBLEMS_FILE
from tasks.stage import STAGE_CACHE, run_stage
from tasks.train_rl import ROLLOUTS_FILE
from tasks.train_sft import METRICS_FILE
from thinkless_core.progress import Progress

REPORT_FILE = "report.html"
VERSION = 1
"""Bumped when the report's rendering changes: that code is not part of the fingerprint."""


def plan(
    config: ReportConfig,
    *,
    base: Artifact,
    problems: Artifact,
    think: Artifact,
    short: Artifact,
    pairs: Artifact,
    warm_up: Artifact,
    policy: Artifact,
    evaluation: Artifact,
) -> StagePlan[ReportConfig]:
    """What the stage would build."""
    inputs = (base, problems, think, short, pairs, warm_up, policy, evaluation)
    return make_plan("report", module=__name__, config=config, inputs=inputs, version=VERSION)


def build(plan: StagePlan[ReportConfig], context: RunContext, workspace: Path, progress: Progress) -> StageOutcome:
    """Write `report.html`, `model_card.md` and `dataset_card.md`."""
    _, problems, _, _, pairs, warm_up, policy, evaluation = (Path(artifact.path) for artifact in plan.inputs)
    manifests = tuple(context.store.manifest(artifact.stage, artifact.key) for artifact in plan.inputs)
    inputs = ReportInputs(
        title=plan.config.title,
        profile=context.profile,
        run_id=context.run_id,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        eval_summary=evaluation / SUMMARY_FILE,
        eval_completions=evaluation / COMPLETIONS_FILE,
        sft_metrics=warm_up / METRICS_FILE,
        rl_metrics=policy / METRICS_FILE,
        rollouts=policy / ROLLOUTS_FILE,
        pairs=pairs / PAIRS_FILE,
        problems=problems / PROBLEMS_FILE,
        manifests=manifests,
        validation_docs=_validation_docs(manifests),
        examples=plan.config.examples,
    )
    (workspace / REPORT_FILE).write_text(render_report(inputs), encoding="utf-8")
    (workspace / "model_card.md").write_text(model_card(inputs), encoding="utf-8")
    (workspace / "dataset_card.md").write_text(dataset_card(inputs), encoding="utf-8")
    progress(1, 1, {})
    return StageOutcome(rows=1)


def _validation_docs(manifests: tuple[Manifest, ...]) -> dict[str, str]:
    """Suite -> link to its data docs, relative to the report's directory."""
    return {
        check.suite: f"../../{manifest.stage}/{manifest.key}/validation/{check.suite}/index.html"
        for manifest in manifests
        for check in manifest.checks
    }


@task(name="report", cache_policy=STAGE_CACHE, persist_result=True, result_serializer="json")
def write_report(context: RunContext, plan: StagePlan[ReportConfig]) -> Artifact:
    """Write the report and both cards."""
    return run_stage(context, plan, build)
