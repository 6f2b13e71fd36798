"""What an objective IS: a weight per token, an advantage, a sampler of modes and a reward. Everything else is shared.

    assign_modes   -> who chooses the control token of each rollout
    reward         -> Verdict -> number, one rollout at a time
    advantages     -> ScoredGroups -> GroupAdvantages, one of the control token and one of the response
    token_weights  -> mask, StepCounts -> TokenWeights of the loss (thinkless_core/rl/policy_loss.py)

Shapes: P prompts, G group, B rollouts, T completion tokens. Masks are bool, True = counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from schemas.configs.objective import ObjectiveName
from schemas.configs.rl import RlConfig
from thinkless_core.rl.mode_assignment import AssignedMode
from thinkless_core.rl.policy_loss import StepCounts, TokenWeights
from thinkless_core.rl.rewards import Verdict
from thinkless_core.rl.schedules import StepSettings


class ScoredGroups(NamedTuple):
    """The rewards of one step, with what some objectives compare them by; float64, shape (P, G)."""

    rewards_PG: Tensor
    short_PG: Tensor
    think_PG: Tensor
    """Neither short nor think is malformed."""
    reference_accuracy_P: Tensor | None
    """Accuracy of the warm-up model's thinking, where the objective needs it."""


class GroupAdvantages(NamedTuple):
    """What each rollout's tokens are multiplied with, shape (P, G)."""

    control_PG: Tensor
    response_PG: Tensor


class TokenWeighting(Protocol):
    """Weights of one micro-batch from the counts of the whole step."""

    def __call__(self, mask_BT: Tensor, *, control_weight: float, counts: StepCounts) -> TokenWeights:
        """`control_weight` is rl.alpha at this step."""
        ...


class RewardRule(Protocol):
    """What one rollout earns."""

    def __call__(self, verdict: Verdict, *, config: RlConfig, settings: StepSettings) -> float:
        """`settings` hold gamma at this step."""
        ...


class AdvantageRule(Protocol):
    """How much better a rollout did than what it is compared with."""

    def __call__(self, groups: ScoredGroups, *, config: RlConfig, settings: StepSettings) -> GroupAdvantages:
        """The same advantage for all tokens of a rollout, or another for its control token."""
        ...


@dataclass(frozen=True)
class Objective:
    """One way to learn when to think."""

    name: ObjectiveName
    assign_modes: Callable[[int], tuple[AssignedMode, ...]]
    """Group size -> one assignment per rollout of a group."""
    reward: RewardRule
    advantages: AdvantageRule
    token_weights: TokenWeighting
    reward_range: Callable[[RlConfig], tuple[float, float]] = lambda config: (-1.0, 1.0)
    """The least and the most a rollout can earn."""
    advantages_cancel: bool = True
    """Whether the response advantages of a group add up to 0."""
    needs_reference_accuracy: bool = False
    """Whether the accuracy of the warm-up model's thinking is measured before the first step."""

    def leaves_the_choice(self) -> bool:
        """Whether the policy chooses modes: only then there is something for the collapse guard to watch."""
        return all(choice.mode is None for choice in self.assign_modes(2))
