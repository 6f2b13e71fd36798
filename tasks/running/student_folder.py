"""Loads the student that a training stage starts from, and saves the trained one.

folder `model` of the stage before -> model and tokenizer, prepared for training -> (trained) -> workspace/model
"""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from schemas.configs.training import TrainingConfig
from thinkless_core.student.model_files import is_trusted, load_student, load_student_tokenizer, save_folder
from thinkless_core.training.acceleration import training_accelerator, use_threads
from thinkless_core.training.precision import merge_student, prepare_student

MODEL = "model"
"""Folder of the model in an artifact."""


def load_for_training(
    before: Path, config: TrainingConfig, *, processes: int
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model and tokenizer of the artifact `before`, prepared for training with `config` in one of `processes`."""
    use_threads(config.num_threads, processes=processes)
    model, tokenizer = load_student(before / MODEL), load_student_tokenizer(before / MODEL)
    prepare_student(model, config, tokenizer=tokenizer)
    return model, tokenizer


def save_trained(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, *, before: Path, workspace: Path) -> None:
    """Save the trained model from the main process, with its adapters merged."""
    if training_accelerator().is_main_process:
        merge_student(model)
        save_folder(model, tokenizer, workspace / MODEL, trust_remote_code=is_trusted(before / MODEL))
