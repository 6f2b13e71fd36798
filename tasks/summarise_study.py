"""Stage `study`: the finished runs of a study -> members, accuracy-token curves, training curves, claims, and a page.

policy and evaluation of each member -> MemberResults -> claims -> four tables -> report.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from schemas.artifact import Artifact
from schemas.base import Record
from schemas.configs.study import FinishedMember, StudySummaryConfig
from schemas.records.eval_completions import EvalCompletion
from schemas.records.eval_pareto import ParetoPoint
from schemas.records.eval_routers import RouterScore
from schemas.records.eval_summary import EvalSummary
from schemas.records.guard_events import GuardEvent
from schemas.records.metrics import Metric
from schemas.records.study_claims import StudyClaim
from schemas.records.study_curves import StudyCurve
from schemas.records.study_members import StudyMember
from schemas.records.study_pareto import StudyPareto
from tasks.running.context import RunContext
from tasks.running.parquet_files import read_records, write_table
from tasks.running.stage import Stage, StageOutcome, StagePlan, make_plan
from thinkless_core.progress import Progress
from thinkless_core.statistics.claims import measure_claim
from thinkless_core.statistics.member_results import MemberResults

R = TypeVar("R", bound=Record)

PAGE_FILE = "report.html"

CURVES = frozenset({
    "probe_p_think", "think_count", "short_count", "free_think_count", "free_short_count", "think_share",
    "think_accuracy", "short_accuracy", "think_tokens", "short_tokens", "reward_mean", "accuracy", "mean_tokens", "kl",
    "control_entropy", "generated_tokens",
})  # fmt: skip
"""Training metrics to keep of every member."""
PROBES = "probe_p_think/"
"""Metrics whose names begin with this are kept too: P(think) by difficulty, and by task and level."""


class SummariseStudy(Stage[StudySummaryConfig]):
    """Measures the claims on the finished runs of a study. It is no part of the recipe: plan_study plans it."""

    name = "study"
    config = StudySummaryConfig
    tables = (StudyMember, StudyPareto, StudyCurve, StudyClaim)
    resources = ("infra/report/html",)

    def __init__(self, study: str) -> None:
        """The summary of one study."""
        self.study = study

    @property
    def label(self) -> str:
        """`study NAME`."""
        return f"study {self.study}"

    def build(
        self, plan: StagePlan[StudySummaryConfig], context: RunContext, workspace: Path, progress: Progress
    ) -> StageOutcome:
        """Write four tables and the page made from them."""
        from infra.report.study_page import render_study_page

        config, name = plan.config, plan.config.study.name
        members: list[StudyMember] = []
        pareto: list[StudyPareto] = []
        curves: list[StudyCurve] = []
        results: dict[str, list[MemberResults]] = {}
        pairs = zip(plan.inputs[::2], plan.inputs[1::2], strict=True)
        for number, (member, (policy, evaluation)) in enumerate(zip(config.members, pairs, strict=True), start=1):
            files = _MemberFiles(context, policy, evaluation)
            members.append(_member_row(name, member, policy, evaluation))
            pareto += _pareto_rows(name, member, files)
            own = list(_curve_rows(name, member, files))
            curves += own
            results.setdefault(member.condition, []).append(_results(member, files, own))
            progress(number, len(config.members), {})
        num_seeds = {name: c.num_seeds(config.num_seeds) for name, c in config.study.conditions.items()}
        claims = [
            row
            for check in config.study.claims
            for row in measure_claim(
                check, study=name, members=results, benchmarks=config.study.benchmarks, num_seeds=num_seeds
            )
        ]
        write_table(workspace, StudyMember, members)
        write_table(workspace, StudyPareto, pareto)
        write_table(workspace, StudyCurve, curves)
        write_table(workspace, StudyClaim, claims)
        created_at = datetime.now(UTC).isoformat(timespec="seconds")
        page = render_study_page(workspace, profile=context.profile, created_at=created_at)
        (workspace / PAGE_FILE).write_text(page, encoding="utf-8")
        return StageOutcome(rows=len(members))


def plan_study(
    config: StudySummaryConfig, *, finished: Iterable[tuple[Artifact, Artifact]]
) -> StagePlan[StudySummaryConfig]:
    """The plan of a study's summary; `finished`: policy and evaluation of each member, in the order of `config`."""
    inputs = tuple(artifact for pair in finished for artifact in pair)
    return make_plan(SummariseStudy(config.study.name), config, inputs=inputs)


class _MemberFiles:
    """The Parquet files of one member, by table."""

    def __init__(self, context: RunContext, *artifacts: Artifact) -> None:
        self._paths = {
            file.table: Path(artifact.path) / file.name
            for artifact in artifacts
            for file in context.store.manifest(artifact.stage, artifact.key).files
            if file.table
        }

    def read(self, table: str, record: type[R], **where: str) -> list[R]:
        """Rows of a table; empty if the member has no such table."""
        path = self._paths.get(table)
        return read_records(path, record, where=list(where.items())) if path else []


def _member_row(study: str, member: FinishedMember, policy: Artifact, evaluation: Artifact) -> StudyMember:
    return StudyMember(
        study=study,
        condition=member.condition,
        seed=member.seed,
        overrides=json.dumps(member.overrides),
        rl_key=policy.key,
        evaluate_key=evaluation.key,
    )


def _pareto_rows(study: str, member: FinishedMember, files: _MemberFiles) -> Iterator[StudyPareto]:
    for point in files.read("eval_pareto", ParetoPoint, model="rl"):
        yield StudyPareto(
            study=study,
            condition=member.condition,
            seed=member.seed,
            benchmark=point.benchmark,
            think_bias=point.think_bias,
            accuracy=point.accuracy,
            think_share=point.think_share,
            mean_tokens=point.mean_tokens,
        )


def _curve_rows(study: str, member: FinishedMember, files: _MemberFiles) -> Iterator[StudyCurve]:
    for metric in files.read("metrics", Metric):
        if metric.name in CURVES or metric.name.startswith(PROBES):
            yield StudyCurve(
                study=study,
                condition=member.condition,
                seed=member.seed,
                step=metric.step,
                name=metric.name,
                value=metric.value,
            )


def _results(member: FinishedMember, files: _MemberFiles, curves: list[StudyCurve]) -> MemberResults:
    by_name: dict[str, list[float]] = {}
    for row in sorted(curves, key=lambda row: row.step):
        by_name.setdefault(row.name, []).append(row.value)
    return MemberResults(
        condition=member.condition,
        seed=member.seed,
        summary=files.read("eval_summary", EvalSummary),
        routers=files.read("eval_routers", RouterScore),
        completions=files.read("eval_completions", EvalCompletion, model="rl"),
        curves=by_name,
        guard_events=files.read("guard_events", GuardEvent),
    )
