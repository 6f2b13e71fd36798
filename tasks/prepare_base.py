"""Stage `base`: the student before any training, with its tokenizer, as a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path

from prefect import task

from schemas.artifact import Artifact
from schemas.configs.base_model import BaseModelConfig, PretrainedModel
from tasks.running.context import RunContext, StageOutcome, StagePlan
from tasks.running.stage import STAGE_CACHE, run_stage
from thinkless_core.progress import Progress
from thinkless_core.student.model_files import build_base, save_folder


def build(plan: StagePlan[BaseModelConfig], context: RunContext, workspace: Path, progress: Progress) -> StageOutcome:
    """Write `model/`."""
    model, tokenizer = build_base(plan.config)
    trusted = isinstance(plan.config.model, PretrainedModel) and plan.config.model.trust_remote_code
    save_folder(model, tokenizer, workspace / "model", trust_remote_code=trusted)
    progress(1, 1, {"parameters": float(model.num_parameters())})
    return StageOutcome(rows=1)


@task(name="base", cache_policy=STAGE_CACHE, persist_result=True, result_serializer="json")
def prepare_base(context: RunContext, plan: StagePlan[BaseModelConfig]) -> Artifact:
    """Prepare the student."""
    return run_stage(context, plan, build)
