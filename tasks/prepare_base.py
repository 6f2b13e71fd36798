"""Stage `base`: the student before any training, with its tokenizer, as a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path

from schemas.artifact import Artifact
from schemas.configs.base_model import BaseModelConfig
from schemas.configs.pipeline import PipelineConfig
from tasks.running.context import RunContext
from tasks.running.stage import Stage, StageOutcome, StagePlan, unchanged_files
from thinkless_core.progress import Progress


class PrepareBase(Stage[BaseModelConfig]):
    """Prepares the student."""

    name = "base"
    config = BaseModelConfig

    def build(
        self, plan: StagePlan[BaseModelConfig], context: RunContext, workspace: Path, progress: Progress
    ) -> StageOutcome:
        """Write `model/`; say how its chat template was changed, and what the model cannot do."""
        from thinkless_core.probe.examined_student import write_examined_student

        notes: list[str] = []
        with unchanged_files(plan):
            examined = write_examined_student(plan.config, workspace / "model", say=notes.append)
        progress(1, 1, {"parameters": float(examined.num_parameters)}, notes=notes)
        return StageOutcome(rows=1)

    def refuse(self, config: PipelineConfig, artifact: Artifact) -> None:
        """Raise ConfigError if the student does not go with how it shall be trained."""
        trainings = [training for training in (config.sft, config.rl) if training.needs_a_fit_student]
        if trainings:  # torch takes seconds to load
            from thinkless_core.probe.examined_student import refuse_unfit_settings

            refuse_unfit_settings(Path(artifact.path) / "model", trainings)
