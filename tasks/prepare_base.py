"""Stage `base`: the student before any training, with its tokenizer, as a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path

from schemas.configs.base_model import BaseModelConfig, PretrainedModel
from tasks.running.context import RunContext
from tasks.running.stage import Stage, StageOutcome, StagePlan
from thinkless_core.progress import Progress


class PrepareBase(Stage[BaseModelConfig]):
    """Prepares the student."""

    name = "base"
    config = BaseModelConfig

    def build(
        self, plan: StagePlan[BaseModelConfig], context: RunContext, workspace: Path, progress: Progress
    ) -> StageOutcome:
        """Write `model/`."""
        from thinkless_core.student.model_files import build_base, save_folder

        model, tokenizer = build_base(plan.config)
        trusted = isinstance(plan.config.model, PretrainedModel) and plan.config.model.trust_remote_code
        save_folder(model, tokenizer, workspace / "model", trust_remote_code=trusted)
        progress(1, 1, {"parameters": float(model.num_parameters())})
        return StageOutcome(rows=1)
