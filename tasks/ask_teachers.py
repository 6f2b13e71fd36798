"""Stage `teach`: one teacher answers every warm-up problem in one mode; it runs once per mode."""

from __future__ import annotations

from pathlib import Path

from prefect import task

from infra.validation.suites import generations_suite
from schemas.artifact import Artifact
from schemas.configs.teach import TeachSideConfig
from schemas.records import Generation, Problem, ProblemSplit
from tasks.context import Gate, RunContext, StageOutcome, StagePlan
from tasks.parquet_files import read_records, write_records
from tasks.prepare_problems import FILE as PROBLEMS_FILE
from tasks.stage import STAGE_CACHE, run_stage
from thinkless_core.model_files import load_tokenizer
from thinkless_core.progress import Progress
from thinkless_core.teachers import ask_teacher, build_teacher

FILE = "generations.parquet"


def build(plan: StagePlan[TeachSideConfig], context: RunContext, workspace: Path, progress: Progress) -> StageOutcome:
    """Write `generations.parquet`, chunk by chunk; a chunk that is there already is not asked for again."""
    config = plan.config
    base, problems_artifact = plan.inputs
    problems = read_records(Path(problems_artifact.path) / PROBLEMS_FILE, Problem, where=[("split", ProblemSplit.SFT)])
    teacher = build_teacher(config.side, tokenizer=load_tokenizer(Path(base.path) / "model"))
    chunks = []
    for start in range(0, len(problems), config.chunk_size):
        chunk = workspace / "scratch" / f"chunk-{start:08d}.parquet"
        chunks.append(chunk)
        part = problems[start : start + config.chunk_size]
        if not chunk.exists():
            generations = ask_teacher(
                teacher, part, mode=config.mode, max_tokens=config.side.max_tokens, seed=config.seed
            )
            write_records(chunk, Generation, generations)
        progress(min(start + config.chunk_size, len(problems)), len(problems), {})
    rows = [row for chunk in chunks for row in read_records(chunk, Generation)]
    write_records(workspace / FILE, Generation, rows)
    return StageOutcome(
        rows=len(rows),
        tables={FILE: "generations"},
        drops={
            "truncated": sum(g.truncated for g in rows),
            "incorrect": sum(not g.correct and not g.truncated for g in rows),
        },
        gates=(Gate(FILE, generations_suite(mode=config.mode, num_problems=len(problems))),),
    )


@task(name="teach", cache_policy=STAGE_CACHE, persist_result=True, result_serializer="json")
def ask_teachers(context: RunContext, plan: StagePlan[TeachSideConfig]) -> Artifact:
    """Have one teacher answer every warm-up problem."""
    return run_stage(context, plan, build)
