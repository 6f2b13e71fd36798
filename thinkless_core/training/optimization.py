"""Optimiser and learning rate: AdamW, and the rate as a pure function of the step."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributed.tensor import DTensor

from schemas.configs.stage import OptimizerConfig
from thinkless_core.training.sharding import whole


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only (norms and biases have none).

    Sharded parameters have groups of their own: one call cannot update them together with whole ones.
    """
    groups = []
    for sharded in (False, True):
        parameters = [p for p in model.parameters() if p.requires_grad and isinstance(p, DTensor) == sharded]
        if parameters or not sharded:
            groups += [
                {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
                {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
            ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(config.beta1, config.beta2), fused=True)


def clip_gradients(model: nn.Module, *, max_norm: float) -> float:
    """Scale the gradient down to `max_norm` if its norm over all parameters is larger; returns that norm."""
    shares = [p for p in model.parameters() if isinstance(p, DTensor)]
    if not shares:
        return float(nn.utils.clip_grad_norm_(model.parameters(), max_norm))
    others = [p for p in model.parameters() if not isinstance(p, DTensor)]
    parts = [nn.utils.get_total_norm([p.grad for p in group if p.grad is not None]) for group in (shares, others)]
    norm = float(torch.linalg.vector_norm(torch.stack([whole(part).to(torch.float32) for part in parts])))
    factor = min(1.0, max_norm / (norm + 1e-6))  # as torch's own, so that sharding changes nothing
    for parameter in (*shares, *others):
        if parameter.grad is not None:
            parameter.grad.mul_(factor)
    return norm


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
