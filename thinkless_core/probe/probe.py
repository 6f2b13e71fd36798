"""What a model can do, found out on the model itself with a few tokens; never taken from the name of its class.

model -> its own predictions, one sample at a time -> the same through every path that later stages take
      -> ConfigError if it cannot be the student, else what has to be replaced and what settings it does not go with
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from schemas.configs.training import ALL_LINEAR
from schemas.errors import ConfigError
from thinkless_core.probe import sampling_probe, training_probe
from thinkless_core.probe.examples import Plain, in_words, plain, samples
from thinkless_core.student.limits import Limit, set_limits
from thinkless_core.training.logprobs import has_plain_head
from thinkless_core.training.packed_attention import packing_obstacle, supports_packing

T = TypeVar("T")


def probe(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[Limit, str]:
    """The model's limits, each with what was seen; they stand in its configuration, too. Its weights are changed.

    Raises ConfigError for a model that cannot be sampled from or trained at all.
    """
    pad_id = tokenizer.pad_token_id
    set_limits(model, {})
    model.eval()
    found = predictions(model, tokenizer)
    limits = sampling_limits(model, found, pad_id=pad_id)
    fault = _done(model, "be given padded samples", lambda: training_probe.padding_fault(model, found, pad_id=pad_id))
    if fault is not None:
        raise _unfit(model, f"padded samples are not what they are alone: {fault}")
    obstacle = packing_obstacle(model)
    if obstacle is not None or supports_packing(model):
        _note(limits, Limit.PACKING, obstacle or training_probe.packing_fault(model, found))
    if has_plain_head(model):
        _note(limits, Limit.PLAIN_HEAD, training_probe.head_fault(model, found))
    set_limits(model, limits)  # what follows goes the way that training will
    expected = _gradient(model, found, pad_id=pad_id)
    fault = training_probe.checkpointing_fault(model, found, pad_id=pad_id, expected=expected)
    _note(limits, Limit.CHECKPOINTING, fault)
    _note(limits, Limit.LORA, training_probe.adapter_fault(model, found, ALL_LINEAR, tokenizer=tokenizer))
    set_limits(model, limits)
    return limits


def predictions(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Plain:
    """What the model predicts for the probe's samples; raises ConfigError if that is nothing finite, or if the
    model is half of one."""
    half = sampling_probe.half_of(model)
    if half is not None:
        raise _unfit(model, f"it is the decoder of an encoder-decoder model, whose encoder is missing (see {half})")
    found = _done(model, "predict a token", lambda: plain(model, samples(tokenizer)))
    if not all(bool(values.isfinite().all()) for values in found.logprobs_LV):
        raise _unfit(model, "its predictions are not finite numbers")
    return found


def sampling_limits(model: PreTrainedModel, found: Plain, *, pad_id: int) -> dict[Limit, str]:
    """The limits of sampling alone; raises ConfigError for a model that is not causal."""
    ahead = sampling_probe.looks_ahead(model, found)
    if ahead is not None:
        raise _unfit(model, f"it is not causal: {ahead}; an encoder cannot write")
    limits: dict[Limit, str] = {}
    _note(limits, Limit.CACHE, sampling_probe.cache_fault(model, found, pad_id=pad_id))
    return limits


def _gradient(model: PreTrainedModel, found: Plain, *, pad_id: int) -> Tensor:
    gradient = _done(model, "be trained", lambda: training_probe.gradient(model, found, pad_id=pad_id))
    if not bool(torch.isfinite(gradient).all()) or not bool(gradient.any()):
        raise _unfit(model, "its gradient is zero or not finite, so it cannot be trained")
    return gradient


def _note(limits: dict[Limit, str], limit: Limit, fault: str | None) -> None:
    if fault is not None:
        limits[limit] = fault


def _done(model: PreTrainedModel, what: str, work: Callable[[], T]) -> T:
    """What `work` gives; an error of the model's own code is one sentence."""
    try:
        return work()
    except Exception as error:  # whatever a model's code raises
        raise _unfit(model, f"it cannot {what}: {in_words(error)}") from error


def _unfit(model: PreTrainedModel, why: str) -> ConfigError:
    return ConfigError(
        f"{type(model).__name__} cannot be the student: {why}; choose a model of another architecture, such as Llama, "
        "Qwen or Gemma"
    )
