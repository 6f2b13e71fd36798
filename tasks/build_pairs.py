"""Stage `pairs`: both teachers' generations -> one row per problem with both sides."""

from __future__ import annotations

from pathlib import Path

from prefect import task

from infra.catalog.paired_generations import paired_generations
from infra.validation.suites import pairs_suite
from schemas.artifact import Artifact
from schemas.base import tables_of
from schemas.configs.pairs import PairsConfig
from schemas.records.generations import Generation
from schemas.records.pairs import Pair
from schemas.records.problems import Problem
from tasks.running.context import Gate, RunContext, StageOutcome, StagePlan
from tasks.running.stage import STAGE_CACHE, run_stage
from thinkless_core.progress import Progress
from thinkless_core.teachers.pairing import apply_rules, held_out_pairs


def build(plan: StagePlan[PairsConfig], context: RunContext, workspace: Path, progress: Progress) -> StageOutcome:
    """Write `pairs.parquet`."""
    problems, think, short = (Path(artifact.path) for artifact in plan.inputs)
    with paired_generations(
        problems / Problem.FILE,
        think=think / Generation.FILE,
        short=short / Generation.FILE,
        scratch=workspace / "scratch",
    ) as paired:
        rules = apply_rules(paired.faults, config=plan.config)
        held_out = held_out_pairs(rules.num_pairs, share=plan.config.validation_share, seed=plan.config.seed)
        rows = paired.write_pairs(workspace / Pair.FILE, dropping=rules.dropping, held_out=held_out)
    progress(1, 1, {"pairs": float(rows)})
    return StageOutcome(
        rows=rows,
        tables=tables_of(Pair),
        drops=rules.touched,
        gates=(Gate(Pair.FILE, pairs_suite()),),
    )


@task(name="pairs", cache_policy=STAGE_CACHE, persist_result=True, result_serializer="json")
def pair_generations(context: RunContext, plan: StagePlan[PairsConfig]) -> Artifact:
    """Join both teachers' answers into pairs."""
    return run_stage(context, plan, build)
