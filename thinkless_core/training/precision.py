"""The student prepared for training (adapters, gradient checkpointing, precision), and made plain again afterwards.

plain model -> prepare_student -> (every forward pass under `autocast`) -> merge_student -> plain model

Mixed precision keeps weights, gradients and optimiser in float32 and multiplies in bfloat16, whose range is that of
float32: no loss scaling is needed.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from schemas.configs.training import TrainingConfig
from schemas.errors import ConfigError
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.training.acceleration import in_bfloat16
from thinkless_core.training.freed_memory import give_back_freed_memory
from thinkless_core.training.lora import add_adapters, fold_adapters
from thinkless_core.training.packed_attention import recompute_context

Precision = Literal["float32", "mixed", "auto"]


def prepare_student(model: PreTrainedModel, config: TrainingConfig, *, tokenizer: PreTrainedTokenizerBase) -> None:
    """Change a plain model in place to what the configuration trains; parameters to train are those with
    `requires_grad`. It predicts what it predicted before. Raises ConfigError.
    """
    if config.lora is not None:
        control = ControlTokens.of(tokenizer)
        ids = (control.short_id, control.think_id, control.think_end_id)
        add_adapters(model, config.lora, control_ids=ids, seed=config.seed, key=f"{config.stage}.lora")
    if config.gradient_checkpointing:
        if not model.supports_gradient_checkpointing:
            raise ConfigError(
                f"{config.stage}.gradient_checkpointing: {type(model).__name__} has no gradient checkpointing; leave "
                f"it out and lower {config.stage}.micro_batch_tokens instead"
            )
        model.gradient_checkpointing_enable({"use_reentrant": False, "context_fn": recompute_context(model)})
        give_back_freed_memory()  # memory for time, as with the activations


def merge_student(model: PreTrainedModel) -> None:
    """Make a trained student a plain model, which saves and loads like any other; does nothing to a plain one."""
    fold_adapters(model)
    if model.is_gradient_checkpointing:
        model.gradient_checkpointing_disable()


def autocast(model: PreTrainedModel, precision: Precision) -> AbstractContextManager[object]:
    """Inside, a forward pass multiplies in bfloat16 if `precision` is mixed. Gradients need no context."""
    if not in_bfloat16(precision):
        return nullcontext()
    return torch.autocast(model.device.type, dtype=torch.bfloat16)


def frozen_for(precision: Precision, model: PreTrainedModel) -> PreTrainedModel:
    """`model`, never to be trained again, in as little memory as gives the same predictions under `autocast`.

    Under mixed precision the matrices of its linear layers are rounded to bfloat16 now, once, and not in every forward
    pass; all else stays in float32. A reference policy then agrees exactly with the policy that it was.
    """
    model.eval().requires_grad_(requires_grad=False)
    if in_bfloat16(precision):
        for layer in model.modules():
            if type(layer) is nn.Linear:  # a tied head gets a matrix of its own: the embedding is not rounded
                for name, parameter in list(layer.named_parameters(recurse=False)):
                    layer.register_parameter(name, nn.Parameter(parameter.to(torch.bfloat16), requires_grad=False))
    return model
