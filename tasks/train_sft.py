"""Stage `sft`: warm-up distillation on the pairs; afterwards the student knows both modes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prefect import task

from schemas.artifact import Artifact
from schemas.base import tables_of
from schemas.configs.sft import SftConfig
from schemas.records.metrics import Metric
from schemas.records.pairs import Pair
from tasks.running.context import RunContext, StageOutcome, StagePlan
from tasks.running.launching import run_training
from tasks.running.parquet_files import read_records, write_records
from tasks.running.stage import STAGE_CACHE, run_stage
from tasks.running.student_folder import leave_behind, take_up
from thinkless_core.progress import Progress
from thinkless_core.student.context_length import OVER_CONTEXT, FittingPairs, context_length, fitting_pairs
from thinkless_core.student.model_files import (
    load_student_config,
    load_student_tokenizer,
)
from thinkless_core.training import sft_trainer


def build(plan: StagePlan[SftConfig], context: RunContext, workspace: Path, progress: Progress) -> StageOutcome:
    """Write `model/` and `metrics.parquet`; goes on from the newest checkpoint in `scratch/`."""
    run_training(plan, workspace, progress, train=train)
    write_records(workspace / Metric.FILE, Metric, sft_trainer.metrics_log(workspace / "scratch"))
    fitting = pairs_that_fit(*(Path(artifact.path) for artifact in plan.inputs))
    return StageOutcome(
        rows=sum(pair.split == "train" for pair in fitting.pairs),
        tables=tables_of(Metric),
        drops={OVER_CONTEXT: fitting.num_dropped} if fitting.num_dropped else {},
    )


def pairs_that_fit(base: Path, pairs: Path) -> FittingPairs:
    """The pairs that the student can learn from; raises ConfigError where there are none."""
    return fitting_pairs(
        read_records(pairs / Pair.FILE, Pair),
        tokenizer=load_student_tokenizer(base / "model"),
        context=context_length(load_student_config(base / "model")),
    )


def train(
    config: SftConfig,
    inputs: Sequence[Path],
    workspace: Path,
    progress: Progress,
    *,
    processes: int = 1,
    sharded: bool = False,
) -> None:
    """Train in this process, or as one of several (tasks/running/launching.py); writes `model/`, logs and
    checkpoints."""
    base, pairs = inputs
    model, tokenizer = take_up(base, config, processes=processes)
    sft_trainer.train_sft(
        model,
        tokenizer=tokenizer,
        pairs=pairs_that_fit(base, pairs).pairs,
        config=config,
        scratch=workspace / "scratch",
        progress=progress,
        sharded=sharded,
    )
    leave_behind(model, tokenizer, before=base, workspace=workspace)


@task(name="sft", cache_policy=STAGE_CACHE, persist_result=True, result_serializer="json")
def train_sft(context: RunContext, plan: StagePlan[SftConfig]) -> Artifact:
    """Teach the student both modes."""
    return run_stage(context, plan, build)
