"""What a model was found unable to do, and why: part of its configuration, so it goes wherever the model goes.

stage `base` (thinkless_core/probe/) -> `config.json` of the student, or nothing for a model that can do all
                                     -> samplers, packing, log-probabilities, and what refuses settings
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from transformers import PreTrainedConfig, PreTrainedModel

KEY = "thinkless_limits"
"""Attribute of a transformers configuration: limit -> what was seen. A model without limits does not have it."""


class Limit(StrEnum):
    """Something a model cannot do."""

    CACHE = "cache"
    """Its cache, left padding included, does not give what a full forward pass gives."""
    PACKING = "packing"
    """Packed samples do not have the log-probabilities of single ones."""
    PLAIN_HEAD = "plain_head"
    """Logits are not the output embedding of the last hidden state, so they cannot be computed in chunks."""
    CHECKPOINTING = "gradient_checkpointing"
    """Recomputed activations give another gradient."""
    LORA = "lora"
    """Adapters cannot be folded into the weights."""

    @property
    def replacement(self) -> str | None:
        """What is done instead, in words; None: a setting that asks for it is refused."""
        return {
            Limit.CACHE: "sampling computes every token anew, which is slower",
            Limit.PACKING: "training pads samples instead of packing them, which is slower",
            Limit.PLAIN_HEAD: "all logits of a micro-batch stand in memory at once",
        }.get(self)


def limits_of(model: PreTrainedModel | PreTrainedConfig) -> Mapping[Limit, str]:
    """The limits that were found, each with its reason."""
    config = model.config if isinstance(model, PreTrainedModel) else model
    return {Limit(name): reason for name, reason in getattr(config, KEY, {}).items()}


def set_limits(model: PreTrainedModel, limits: Mapping[Limit, str]) -> None:
    """Take the findings into the model's configuration, in place of those of an earlier look."""
    if hasattr(model.config, KEY):
        delattr(model.config, KEY)
    if limits:
        setattr(model.config, KEY, {limit.value: reason for limit, reason in limits.items()})
