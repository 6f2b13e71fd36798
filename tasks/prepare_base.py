"""Stage `base`: the student before any training, with its tokenizer, as a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path

from prefect import task

from infra.fingerprint import file_sha256
from schemas.artifact import Artifact
from schemas.configs.base_model import BaseModelConfig, PretrainedModel
from tasks.context import RunContext, StageOutcome, StagePlan, make_plan
from tasks.stage import STAGE_CACHE, run_stage
from thinkless_core.model_files import build_base, save_folder
from thinkless_core.progress import Progress


def plan(config: BaseModelConfig) -> StagePlan[BaseModelConfig]:
    """What the stage would build."""
    extra = {}
    if isinstance(config.model, PretrainedModel) and Path(config.model.path).is_dir():
        files = sorted(p for p in Path(config.model.path).iterdir() if p.is_file())
        extra = {"files": {p.name: file_sha256(p) for p in files}}
    return make_plan("base", module=__name__, config=config, extra=extra)


def build(plan: StagePlan[BaseModelConfig], context: RunContext, workspace: Path, progress: Progress) -> StageOutcome:
    """Write `model/`."""
    model, tokenizer = build_base(plan.config)
    save_folder(model, tokenizer, workspace / "model")
    progress(1, 1, {"parameters": float(model.num_parameters())})
    return StageOutcome(rows=1)


@task(name="base", cache_policy=STAGE_CACHE, persist_result=True, result_serializer="json")
def prepare_base(context: RunContext, plan: StagePlan[BaseModelConfig]) -> Artifact:
    """Prepare the student."""
    return run_stage(context, plan, build)
