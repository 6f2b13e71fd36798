"""Configuration of stage `rl`: DeGRPO, which teaches when to think."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from schemas.configs.stage import ComputeConfig, OptimizerConfig

Objective = Literal["paper", "token", "grpo"]


class RlConfig(ComputeConfig):
    """Reinforcement learning of the mode choice (Thinkless, arXiv 2505.13379, section 3)."""

    steps: int = Field(ge=1)
    """Rollout steps."""
    prompts_per_step: int = Field(ge=1)
    """Problems per rollout step (paper: 128)."""
    group_size: int = Field(8, ge=2)
    """Rollouts per prompt. One alone has no group to be compared with: its advantage would always be 0."""
    objective: Objective = "paper"
    """Normalisation of the loss: `paper` (1/T per sequence), `token` (token mean) or `grpo` (no decoupling)."""
    alpha: float = Field(1e-3, gt=0, le=10)
    """Weight of the control token's loss (paper: 0.001 at mean lengths in the thousands)."""
    gamma: float = Field(0.5, gt=0, lt=1)
    """Discount of thinking: a correct think answer earns 1 - gamma, a correct short one 1 (paper: 0.5)."""
    advantage: Literal["mean", "mean_std"] = "mean"
    """Baseline of the advantage: group mean (paper), or group mean and division by the group's deviation."""
    clip_low: float = Field(0.2, gt=0, lt=1)
    """The ratio is clipped below 1 - clip_low (paper: 0.2)."""
    clip_high: float = Field(0.2, gt=0)
    """The ratio is clipped above 1 + clip_high (paper: 0.2)."""
    kl_coef: float = Field(1e-3, ge=0)
    """Weight of KL(policy || warm-up model), k3 estimator (paper: 0.001). 0 leaves the reference out."""
    updates_per_step: int = Field(1, ge=1)
    """Optimiser steps per rollout step, each on an equal share of the prompts (reference code: 2)."""
    temperature: float = Field(1.0, gt=0)
    """Sampling temperature of rollouts; log-probabilities use the same."""
    max_new_tokens: int = Field(ge=2)
    """Limit of a rollout, control token included; a longer one is truncated and counts as wrong."""
    short_max_tokens: int = Field(ge=1)
    """A short completion with more tokens is a hidden chain of thought (fake short) and earns no short bonus."""
    micro_batch_tokens: int = Field(8192, ge=64)
    """Most tokens (padding included) in one forward pass. Changes memory, never the gradient."""
    optimizer: OptimizerConfig
    probe_every: int = Field(10, ge=1)
    """Steps between two exact readings of P(think) on the probe problems."""
    probe_problems: int = Field(200, ge=1)
    """Number of RL problems in the fixed probe set."""
    checkpoint_every: int = Field(20, ge=1)
    """Steps between two checkpoints: the most that a crash can lose."""

    @model_validator(mode="after")
    def _prompts_split_evenly(self) -> Self:
        if self.prompts_per_step % self.updates_per_step:
            raise ValueError(
                f"prompts_per_step={self.prompts_per_step} cannot be split into updates_per_step="
                f"{self.updates_per_step} equal shares; choose a divisor"
            )
        if self.short_max_tokens > self.max_new_tokens:
            raise ValueError(
                f"short_max_tokens={self.short_max_tokens} is over max_new_tokens={self.max_new_tokens}, "
                "so it would have no effect; lower it"
            )
        return self

    def unused_fields(self) -> dict[str, str]:
        """`alpha` means nothing where the loss is not decoupled."""
        if self.objective == "grpo":
            return {"alpha": "objective 'grpo' weighs control and response tokens alike"}
        return {}
