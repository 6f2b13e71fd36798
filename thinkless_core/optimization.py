"""Optimiser and learning rate: AdamW, and the rate as a pure function of the step."""

from __future__ import annotations

import torch
from torch import nn

from schemas.configs.stage import OptimizerConfig


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only (norms and biases are left alone)."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        fused=True,
    )


def learning_rate(config: OptimizerConfig, *, step: int, num_steps: int) -> float:
    """Rate of step `step` (1-based): linear warm-up, constant, linear decay to final_fraction of the peak."""
    warmup = min(1.0, step / config.warmup_steps) if config.warmup_steps else 1.0
    decay_steps = config.decay_fraction * num_steps
    remaining = (num_steps - step) / decay_steps if decay_steps else 1.0
    decay = config.final_fraction + (1 - config.final_fraction) * min(1.0, remaining)
    return config.learning_rate * warmup * decay


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group the same rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate
