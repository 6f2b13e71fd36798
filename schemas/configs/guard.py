"""Configuration of the collapse guard: what is done when RL stops using one of the two modes.

What it measures: the share of the rarer mode among the rollouts that chose their mode freely. That is a symptom, not
the disease. A mode nobody samples any more earns no reward to be compared with, so it cannot come back by learning,
whether it would pay or not; but on problems that are all easy, thinking is rightly given up, and the share looks just
the same. The counts cannot tell the two apart, which is why the default policy only warns. `force_split` can: it keeps
sampling the lost mode, and lets the rewards decide. It gives up after `max_forced_steps`: then the mode had its chance.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from schemas.configs.stage import Table


class GuardConfig(Table):
    """When a mode counts as lost, when as recovered, and what is done between."""

    policy: Literal["off", "warn", "stop", "force_split"] = "warn"
    """`off`: not watched; `warn`: said and logged; `stop`: the run ends; `force_split`: some rollouts of each group
    are forced into the lost mode until it recovers."""
    min_share: float = Field(0.05, gt=0, lt=0.5)
    """A mode is lost where its share of the free rollouts is under this. At 0.05, two of three groups of 8 have no
    rollout in that mode, and learn nothing about the choice."""
    recovered_share: float = Field(0.1, gt=0, le=0.5)
    """A lost mode has recovered where its share is at least this; over `min_share`, or the guard would flicker."""
    window: int = Field(5, ge=1)
    """Steps that the share is taken over; it begins anew with each decision."""
    forced_per_group: int = Field(2, ge=1)
    """Policy `force_split`: rollouts of each group forced into the lost mode; the others stay free."""
    max_forced_steps: int = Field(60, ge=1)
    """Policy `force_split`: after so many forced steps without recovery the mode is let go: the rewards spoke."""

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
        """What the policy leaves without effect."""
        unread = {
            "off": ("min_share", "recovered_share", "window", "forced_per_group", "max_forced_steps"),
            "warn": ("forced_per_group", "max_forced_steps"),
            "stop": ("recovered_share", "forced_per_group", "max_forced_steps"),
            "force_split": (),
        }
        return dict.fromkeys(unread[self.policy], f"guard policy {self.policy!r} does not read it")

    def check_group(self, group_size: int) -> None:
        """Raise ValueError where forcing would leave no free rollout to watch."""
        if self.policy == "force_split" and self.forced_per_group >= group_size:
            raise ValueError(
                f"guard.forced_per_group={self.forced_per_group} leaves no free rollout in a group of "
                f"group_size={group_size}, so no recovery could be seen; lower it to at most {group_size - 1}"
            )
