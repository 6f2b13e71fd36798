"""What has to be known of an objective before torch is loaded.

The objectives themselves are one file each in `thinkless_core/rl/objectives/`; each holds its fields and its formulas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from schemas.configs.reward import RewardConfig, choose_reward
from schemas.kinds import Kind, chosen

Method = TypeVar("Method", bound=Callable[..., Any])


def cancelling(advantages: Method) -> Method:
    """Marks a method `advantages` whose response advantages add up to 0 in every group."""
    vars(advantages)["cancelling"] = True
    return advantages


class ObjectiveConfig(Kind):
    """What is learned from a group of rollouts. Chosen by name, by `FILE.py:Class` or by import path."""

    group: ClassVar[str] = "thinkless.objectives"
    tag: ClassVar[str] = "name"
    unread: ClassVar[Mapping[str, str]] = {}
    """Fields of stage `rl` that it does not read: field -> why. Such a field may not be set by hand."""
    reward_fields: ClassVar[tuple[str, ...]] = ()
    """Fields of its own that only its default reward reads: without effect if rl.reward chooses another one."""
    halves: ClassVar[bool] = False
    """Whether it forces one half of each group into either mode."""

    name: str = ""
    """`degrpo-paper` (1/T per response, also `paper`), `degrpo-token` (token mean, also `token`), `grpo`, `dr_grpo`,
    `adaptthink`, `hgpo`, `ada-grpo`, `length-truncation`, or your own: `FILE.py:Class` or an import path."""

    @property
    def advantages_cancel(self) -> bool:
        """Whether its `advantages` are marked as cancelling: then each stored group is checked for it."""
        return hasattr(getattr(self, "advantages", None), "cancelling")

    def default_reward(self) -> RewardConfig:
        """The reward that is used if rl.reward is not set."""
        reward: RewardConfig = choose_reward("thinkless")
        return reward

    def num_reference_samples(self) -> int:
        """Think answers of the warm-up model per problem, sampled before the first step; 0 if it needs none."""
        return 0


choose_objective = chosen(ObjectiveConfig)
"""A name or a table -> the objective that it chooses."""
