"""The student of stage `base`, written, read again as later stages will, and probed; the doctor asks the same.

configured model -> folder -> reloaded: the same predictions? -> probe -> limits, in the folder's config.json
settings of training -> refused if the student does not go with them, before any teacher is asked
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from schemas.configs.base_model import BaseModelConfig, PretrainedModel
from schemas.configs.training import ALL_LINEAR, LoraConfig, TrainingConfig
from schemas.errors import ConfigError
from thinkless_core.probe.examples import in_words
from thinkless_core.probe.probe import predictions, probe
from thinkless_core.probe.training_probe import adapter_fault
from thinkless_core.student.limits import Limit, limits_of, set_limits
from thinkless_core.student.model_files import (
    build_base,
    is_trusted,
    load_student,
    load_student_config,
    load_student_tokenizer,
    save_folder,
)
from thinkless_core.training.precision import prepare_student


class ExaminedStudent(NamedTuple):
    """What was written and found."""

    num_parameters: int
    limits: Mapping[Limit, str]

    def replaced(self) -> str | None:
        """In one line, what will be done in another way because of a limit; None if nothing will."""
        parts = [f"{limit.replacement} ({reason})" for limit, reason in self.limits.items() if limit.replacement]
        return f"the student has limits: {'; '.join(parts)}" if parts else None


def write_examined_student(
    config: BaseModelConfig, folder: Path, *, say: Callable[[str], None] = lambda _note: None
) -> ExaminedStudent:
    """Write the student into `folder`; raises ConfigError for a model that cannot be it.

    `say` is told how the chat template was changed, and what will be done in another way because of a limit.
    """
    model, tokenizer = build_base(config, say=say)
    set_limits(model, {})
    trusted = isinstance(config.model, PretrainedModel) and config.model.trust_remote_code
    try:
        _save(model, tokenizer, folder, trusted=trusted)
        reloaded = _reloaded(model, tokenizer, folder)
        num_parameters = model.num_parameters()
        del model
        limits = probe(reloaded, tokenizer)
    except ConfigError as error:
        name = config.model.path if isinstance(config.model, PretrainedModel) else config.model.kind
        raise ConfigError(f"base.model.path: {name!r}: {error}") from error
    if limits:
        reloaded.config.save_pretrained(folder)
    examined = ExaminedStudent(num_parameters, limits)
    if (replaced := examined.replaced()) is not None:
        say(replaced)
    return examined


def _save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, *, trusted: bool) -> None:
    try:
        save_folder(model, tokenizer, folder, trust_remote_code=trusted)
    except (ValueError, RuntimeError, TypeError, AttributeError, KeyError, NotImplementedError) as error:
        raise ConfigError(
            f"{type(model).__name__} cannot be saved: {in_words(error)}; mend what it names (generation_config.json?), "
            "or choose another base model"
        ) from error


def _reloaded(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> PreTrainedModel:
    """The model as later stages will load it; raises ConfigError if it is another one."""
    before = predictions(model.eval(), tokenizer)
    reloaded = load_student(folder).eval()
    after = predictions(reloaded, tokenizer)
    gaps = [before.differ(a, b) for a, b in zip(after.logprobs_LV, before.logprobs_LV, strict=True)]
    largest = max((gap for gap in gaps if gap is not None), default=None)
    tied = [m.get_output_embeddings().weight is m.get_input_embeddings().weight for m in (model, reloaded)]
    if largest is not None or tied[0] is not tied[1]:
        seen = f"its predictions moved by {largest:.2g} nats" if largest is not None else "its head is tied differently"
        raise ConfigError(
            f"{type(model).__name__} is another model after it was saved and loaded: {seen}; check tie_word_embeddings "
            "in its config.json, or choose another base model"
        )
    return reloaded


def refuse_unfit_settings(folder: Path, trainings: Iterable[TrainingConfig]) -> None:
    """Raise ConfigError if the student in `folder` does not go with how it shall be trained."""
    for config in trainings:
        if not config.needs_a_fit_student:
            continue
        limits = limits_of(load_student_config(folder))
        if config.gradient_checkpointing and Limit.CHECKPOINTING in limits:
            raise ConfigError(
                f"{config.stage}.gradient_checkpointing: {limits[Limit.CHECKPOINTING]}; leave it out and lower "
                f"{config.stage}.micro_batch_tokens instead"
            )
        prepare_student(_empty(folder), config, tokenizer=load_student_tokenizer(folder))
        if config.lora is not None and Limit.LORA in limits:
            _refuse_adapters(folder, config.lora, stage=config.stage, reason=limits[Limit.LORA])


def _refuse_adapters(folder: Path, lora: LoraConfig, *, stage: str, reason: str) -> None:
    """Refuse adapters on all layers for the `reason` that was found, and on the named ones if they fail as well."""
    fault: str | None = reason
    if lora.target_modules != ALL_LINEAR:
        model, tokenizer = load_student(folder).eval(), load_student_tokenizer(folder)
        fault = adapter_fault(model, predictions(model, tokenizer), lora.target_modules, tokenizer=tokenizer)
    if fault is not None:
        raise ConfigError(
            f"{stage}.lora: {fault}; name other layers in {stage}.lora.target_modules, or leave lora out, which trains "
            "all weights"
        )


def _empty(folder: Path) -> PreTrainedModel:
    """A model of the student's build without weights."""
    config = load_student_config(folder)
    try:
        with torch.device("meta"):
            model: PreTrainedModel = AutoModelForCausalLM.from_config(config, trust_remote_code=is_trusted(folder))
    except (RuntimeError, NotImplementedError):  # it computes with its weights while it is built
        return load_student(folder)
    return model
