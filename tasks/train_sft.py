"""Stage `sft`: warm-up distillation on the pairs; afterwards the student knows both modes."""

from __future__ import annotations

from pathlib import Path

from prefect import task

from schemas.artifact import Artifact
from schemas.configs.sft import SftConfig
from schemas.records import Metric, Pair
from tasks.build_pairs import FILE as PAIRS_FILE
from tasks.context import RunContext, StageOutcome, StagePlan
from tasks.parquet_files import read_records, write_records
from tasks.stage import STAGE_CACHE, run_stage
from thinkless_core import sft_trainer
from thinkless_core.acceleration import use_threads
from thinkless_core.model_files import load_model, load_tokenizer, save_folder
from thinkless_core.progress import Progress

METRICS_FILE = "metrics.parquet"


def build(plan: StagePlan[SftConfig], context: RunContext, workspace: Path, progress: Progress) -> StageOutcome:
    """Write `model/` and `metrics.parquet`; goes on from the newest checkpoint in `scratch/`."""
    use_threads(plan.config.num_threads)
    base, pairs = (Path(artifact.path) for artifact in plan.inputs)
    model, tokenizer = load_model(base / "model"), load_tokenizer(base / "model")
    rows = read_records(pairs / PAIRS_FILE, Pair)
    log = sft_trainer.train_sft(
        model,
        tokenizer=tokenizer,
        pairs=rows,
        config=plan.config,
        scratch=workspace / "scratch",
        progress=progress,
    )
    save_folder(model, tokenizer, workspace / "model")
    write_records(workspace / METRICS_FILE, Metric, log)
    return StageOutcome(rows=sum(p.split == "train" for p in rows), tables={METRICS_FILE: "metrics"})


@task(name="sft", cache_policy=STAGE_CACHE, persist_result=True, result_serializer="json")
def train_sft(context: RunContext, plan: StagePlan[SftConfig]) -> Artifact:
    """Teach the student both modes."""
    return run_stage(context, plan, build)
