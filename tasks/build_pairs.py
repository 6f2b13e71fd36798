"""Stage `pairs`: both teachers' generations -> one row per problem with both sides."""

from __future__ import annotations

from pathlib import Path

from prefect import task

from infra.validation.suites import pairs_suite
from schemas.artifact import Artifact
from schemas.configs.pairs import PairsConfig
from schemas.records import Generation, Pair, Problem, ProblemSplit
from tasks.ask_teachers import FILE as GENERATIONS_FILE
from tasks.context import Gate, RunContext, StageOutcome, StagePlan, make_plan
from tasks.parquet_files import read_records, write_records
from tasks.prepare_problems import FILE as PROBLEMS_FILE
from tasks.stage import STAGE_CACHE, run_stage
from thinkless_core.model_files import load_tokenizer
from thinkless_core.pairing import build_pairs
from thinkless_core.progress import Progress

FILE = "pairs.parquet"


def plan(
    config: PairsConfig, *, base: Artifact, problems: Artifact, think: Artifact, short: Artifact
) -> StagePlan[PairsConfig]:
    """What the stage would build."""
    return make_plan("pairs", module=__name__, config=config, inputs=(base, problems, think, short))


def build(plan: StagePlan[PairsConfig], context: RunContext, workspace: Path, progress: Progress) -> StageOutcome:
    """Write `pairs.parquet`."""
    base, problems, think, short = (Path(artifact.path) for artifact in plan.inputs)
    pair_set = build_pairs(
        read_records(problems / PROBLEMS_FILE, Problem, where=[("split", ProblemSplit.SFT)]),
        think=read_records(think / GENERATIONS_FILE, Generation),
        short=read_records(short / GENERATIONS_FILE, Generation),
        tokenizer=load_tokenizer(base / "model"),
        config=plan.config,
    )
    rows = write_records(workspace / FILE, Pair, pair_set.pairs)
    progress(1, 1, {"pairs": float(rows)})
    return StageOutcome(
        rows=rows,
        tables={FILE: "pairs"},
        drops=pair_set.touched,
        gates=(Gate(FILE, pairs_suite()),),
    )


@task(name="pairs", cache_policy=STAGE_CACHE, persist_result=True, result_serializer="json")
def pair_generations(context: RunContext, plan: StagePlan[PairsConfig]) -> Artifact:
    """Join both teachers' answers into pairs."""
    return run_stage(context, plan, build)
