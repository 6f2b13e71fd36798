"""Stage `problems`: sources -> normalised, deduplicated, decontaminated problems, split for warm-up, RL and tests."""

from __future__ import annotations

from pathlib import Path

from prefect import task

from infra.validation.suites import problems_suite
from schemas.artifact import Artifact
from schemas.base import tables_of
from schemas.configs.problems import ProblemsConfig
from schemas.records.problems import Problem
from schemas.records.removed_problems import RemovedProblem
from schemas.records.unreadable_answers import UnreadableAnswer
from tasks.running.context import Gate, RunContext, StageOutcome, StagePlan
from tasks.running.parquet_files import write_records
from tasks.running.stage import STAGE_CACHE, run_stage
from thinkless_core.problems.problem_set import build_problem_set
from thinkless_core.progress import Progress


def build(plan: StagePlan[ProblemsConfig], context: RunContext, workspace: Path, progress: Progress) -> StageOutcome:
    """Write `problems.parquet`, and beside it what was left out and why."""
    problem_set = build_problem_set(plan.config)
    rows = write_records(workspace / Problem.FILE, Problem, problem_set.problems)
    write_records(workspace / RemovedProblem.FILE, RemovedProblem, problem_set.removed)
    write_records(workspace / UnreadableAnswer.FILE, UnreadableAnswer, problem_set.unreadable)
    progress(1, 1, {"problems": float(rows)})
    return StageOutcome(
        rows=rows,
        tables=tables_of(Problem, RemovedProblem, UnreadableAnswer),
        drops=problem_set.drops,
        gates=(Gate(Problem.FILE, problems_suite(benchmarks=tuple(plan.config.benchmarks))),),
    )


@task(name="problems", cache_policy=STAGE_CACHE, persist_result=True, result_serializer="json")
def prepare_problems(context: RunContext, plan: StagePlan[ProblemsConfig]) -> Artifact:
    """Prepare training problems and benchmarks."""
    return run_stage(context, plan, build)
