"""Configuration of stage `rl`, which teaches when to think: DeGRPO, or one of its neighbours."""

from __future__ import annotations

import os
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationInfo, field_validator, model_validator

from schemas.configs.guard import GuardConfig
from schemas.configs.objective import ObjectiveConfig, choose_objective
from schemas.configs.reward import RewardConfig, choose_reward
from schemas.configs.sampler import SamplerConfig, TransformersSamplerConfig, VllmSamplerConfig
from schemas.configs.schedule import InRange, Schedule, check_schedules, values
from schemas.configs.stage import LocalPath, OptimizerConfig, Table
from schemas.configs.training import TrainingConfig

DEFAULT_OBJECTIVE = "degrpo-paper"


class RlConfig(TrainingConfig):
    """Reinforcement learning of the mode choice (Thinkless, arXiv 2505.13379, section 3).

    A field that is a schedule takes a number, or a table such as {kind = "linear", start = 1.0, end = 0.1}.
    """

    stage: ClassVar[str] = "rl"
    steps: int = Field(ge=1)
    """Rollout steps."""
    prompts_per_step: int = Field(ge=1)
    """Problems per rollout step (paper: 128)."""
    group_size: int = Field(8, ge=2)
    """Rollouts per prompt. One alone has no group to be compared with: its advantage would always be 0."""
    objective: Annotated[SerializeAsAny[ObjectiveConfig], BeforeValidator(choose_objective)] = Field(
        DEFAULT_OBJECTIVE, validate_default=True
    )
    """What is learned from a group: a name, or a table with the objective's own fields, such as
    {name = "hgpo", margin = 0.1}."""
    reward: Annotated[SerializeAsAny[RewardConfig], BeforeValidator(choose_reward)] | None = None
    """What a rollout earns: a name, or a table with the reward's own fields. None takes the objective's own."""
    gamma: Annotated[Schedule, InRange(gt=0, lt=1)] = 0.5
    """Discount of thinking: a correct think answer earns 1 - gamma, a correct short one 1 (paper: 0.5). A schedule."""
    baseline: Literal["mean", "mean_std"] = "mean"
    """What a reward is compared with: the group's mean (paper); `mean_std` divides by the group's deviation as well."""
    clip_low: float = Field(0.2, gt=0, lt=1)
    """The ratio is clipped below 1 - clip_low (paper: 0.2)."""
    clip_high: float = Field(0.2, gt=0)
    """The ratio is clipped above 1 + clip_high (paper: 0.2)."""
    kl_coef: Annotated[Schedule, InRange(ge=0)] = 1e-3
    """Weight of KL(policy || warm-up model), k3 estimator (paper: 0.001). 0 leaves the reference out. A schedule."""
    updates_per_step: int = Field(1, ge=1)
    """Optimiser steps per rollout step, each on an equal share of the prompts (reference code: 2)."""
    temperature: Annotated[Schedule, InRange(gt=0)] = 1.0
    """Sampling temperature of rollouts; log-probabilities use the same. A schedule."""
    max_new_tokens: Annotated[Schedule, InRange(ge=2, whole=True)]
    """Limit of a rollout, control token included; a longer one is truncated and counts as wrong. A schedule, whose
    values are rounded."""
    short_max_tokens: int = Field(ge=1)
    """A short completion with more tokens is a hidden chain of thought (fake short) and earns no short bonus."""
    micro_batch_tokens: int = Field(8192, ge=64)
    """Most tokens (padding included) in one forward pass. Changes memory, never the gradient."""
    optimizer: OptimizerConfig
    sampler: SamplerConfig = TransformersSamplerConfig()
    """Who samples the rollouts."""
    guard: GuardConfig = GuardConfig()
    """What is done when one of the two modes is lost."""
    probe_every: int = Field(10, ge=1)
    """Steps between two exact readings of P(think) on the probe problems."""
    probe_problems: int = Field(200, ge=1)
    """Number of RL problems in the fixed probe set."""
    checkpoint_every: int = Field(20, ge=1)
    """Steps between two checkpoints: the most that a crash can lose."""
    policy: LocalPath | None = None
    """Folder of a policy that another framework trained from this warm-up; it is taken, and nothing is trained.
    `thinkless import` sets it."""

    @field_validator("objective", mode="before")
    @classmethod
    def _fields_without_a_name_are_of_the_default_objective(cls, value: Any) -> Any:
        return {"name": DEFAULT_OBJECTIVE, **value} if isinstance(value, dict) else value

    @field_validator("objective", "reward")
    @classmethod
    def _schedules_stay_in_range(cls, value: Table | None, info: ValidationInfo) -> Table | None:
        num_steps = info.data.get("steps")
        if value is not None and num_steps is not None:  # wrong steps are an error of their own
            check_schedules(value, num_steps=num_steps)
        return value

    @model_validator(mode="after")
    def _prompts_split_evenly(self) -> Self:
        if self.prompts_per_step % self.updates_per_step:
            raise ValueError(
                f"prompts_per_step={self.prompts_per_step} cannot be split into updates_per_step="
                f"{self.updates_per_step} equal shares; choose a divisor"
            )
        longest = round(max(values(self.max_new_tokens, num_steps=self.steps)))
        if self.short_max_tokens > longest:
            raise ValueError(
                f"short_max_tokens={self.short_max_tokens} is over max_new_tokens={longest}, "
                "so it would have no effect; lower it"
            )
        return self

    @model_validator(mode="after")
    def _objective_has_what_it_needs(self) -> Self:
        if self.objective.halves and (self.group_size % 2 or self.group_size < 4):
            raise ValueError(
                f"group_size={self.group_size} cannot be split into two halves with something to compare in each, "
                f"which objective {self.objective.name!r} forces into either mode; choose an even number from 4 on"
            )
        self.guard.check_group(self.group_size)
        return self

    @model_validator(mode="after")
    def _every_process_samples_alone(self) -> Self:
        if self.launch is not None and isinstance(self.sampler, VllmSamplerConfig):
            size = self.sampler.tensor_parallel_size
            if self.launch.total > 1 and size > 1:
                raise ValueError(
                    f"sampler.tensor_parallel_size={size} with launch.processes={self.launch.processes}: each process "
                    "samples its own share of the prompts with an engine of its own; set tensor_parallel_size=1"
                )
        return self

    def local_paths(self) -> tuple[str, ...]:
        """The policy, and the list of the export that it was trained from."""
        return () if self.policy is None else (self.policy, os.path.join(os.path.dirname(self.policy), "export.json"))

    def chosen_reward(self) -> RewardConfig:
        """What a rollout earns: rl.reward, or else the objective's own."""
        return self.objective.default_reward() if self.reward is None else self.reward

    def unused_fields(self) -> dict[str, str]:
        """What objective and reward do not read."""
        objective, reward = self.objective, self.chosen_reward()
        unread = {field: f"reward {reward.name!r} {why}" for field, why in reward.unread.items()}
        unread |= {field: f"objective {objective.name!r} {why}" for field, why in objective.unread.items()}
        if self.reward is not None:
            why = "rl.reward takes the place of the reward that reads it"
            unread |= {f"objective.{field}": why for field in objective.reward_fields}
        return unread
