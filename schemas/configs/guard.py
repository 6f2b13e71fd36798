"""Configuration of the collapse guard: what is done when RL stops using one of the two modes.

It measures the share of the rarer mode among the rollouts that chose their mode freely. A small share has two possible
causes. The policy may have lost a mode that would pay: a mode that is not sampled earns no reward to be compared with,
so it cannot come back by learning. Or the problems are all easy, and the policy rightly stopped thinking. The counts
cannot tell the two apart, which is why the default policy only warns. `force_split` can: it keeps sampling the lost
mode and lets the rewards decide. It stops forcing after `max_forced_steps`.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from schemas.configs.stage import Table


class GuardConfig(Table):
    """When a mode counts as lost, when as recovered, and what is done between."""

    policy: Literal["off", "warn", "stop", "force_split"] = "warn"
    """`off`: not watched; `warn`: shown and logged; `stop`: the run ends; `force_split`: some rollouts of each group
    are forced into the lost mode until it recovers."""
    min_share: float = Field(0.05, gt=0, lt=0.5)
    """A mode is lost if its share of the free rollouts is under this. At 0.05, two of three groups of 8 have no
    rollout in that mode, and learn nothing about the choice."""
    recovered_share: float = Field(0.1, gt=0, le=0.5)
    """A lost mode has recovered if its share is at least this. Over `min_share`, or the state would flicker."""
    window: int = Field(5, ge=1)
    """Steps that the share is taken over; it begins anew with each decision."""
    forced_per_group: int = Field(2, ge=1)
    """Policy `force_split`: rollouts of each group forced into the lost mode; the others stay free."""
    max_forced_steps: int = Field(60, ge=1)
    """Policy `force_split`: forcing stops after so many steps without recovery."""

    @model_validator(mode="after")
    def _recovers_above_where_it_is_lost(self) -> Self:
        if self.recovered_share <= self.min_share:
            raise ValueError(
                f"recovered_share={self.recovered_share:g} is not over min_share={self.min_share:g}, so a mode would "
                "be lost and recovered at once; raise it or lower min_share"
            )
        if self.max_forced_steps < self.window:
            raise ValueError(
                f"max_forced_steps={self.max_forced_steps} is under window={self.window}, so no recovery could be "
                "seen; raise it or lower window"
            )
        return self

    def unused_fields(self) -> dict[str, str]:
        """Fields that the policy does not read."""
        unread = {
            "off": ("min_share", "recovered_share", "window", "forced_per_group", "max_forced_steps"),
            "warn": ("forced_per_group", "max_forced_steps"),
            "stop": ("recovered_share", "forced_per_group", "max_forced_steps"),
            "force_split": (),
        }
        return dict.fromkeys(unread[self.policy], f"guard policy {self.policy!r} does not read it")

    def check_group(self, group_size: int) -> None:
        """Raise ValueError if forcing would leave no free rollout to watch."""
        if self.policy == "force_split" and self.forced_per_group >= group_size:
            raise ValueError(
                f"guard.forced_per_group={self.forced_per_group} leaves no free rollout in a group of "
                f"group_size={group_size}, so no recovery could be seen; lower it to at most {group_size - 1}"
            )
