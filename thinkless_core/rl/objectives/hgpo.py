"""`hgpo`: both modes answer every problem; the better mode is rewarded, and within each mode the better answers.

Source: Hybrid Group Policy Optimization, "Think only when you need" (LHRM, arXiv 2505.14631, eq. 5 to 11).

    assign   half of the group short, half think, taken as if the policy had chosen
    reward   1[correct]
    m*       think if mean_think(r) > mean_short(r) + margin, else short                (the better mode)
    inter_i  z over the group of 1[mode_i = m*]         z(x) = (x - mean(x)) / deviation(x), 0 where all are equal
    intra_i  z over the answers in one mode of 1[r_i is the best reward in it]
    A_i0     intra_i + inter_weight inter_i
    A_it     intra_i             for t = 1..T_i
    w_it     1 / (B L)           for t = 0..T_i, L = rl.max_new_tokens
    v_it     1 / (B (T_i + 1))

The halves being equal, inter is +1 or -1: the push towards the better mode is the same however sure the policy is.
Differs from the paper: rewards are verdicts, so several answers share the best one; the paper takes the one that argmax
names. A mode whose answers are all right or all wrong has intra 0. Eq. 11 sums over tokens; here the sum is
divided by the constant L. The deviation is the population's, plus 1e-6.

Shapes: P prompts, G group.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from schemas.configs.objective import cancelling
from schemas.configs.schedule import InRange, Schedule
from thinkless_core.rl.mode_assignment import AssignedMode, in_halves
from thinkless_core.rl.objectives.objective import (
    EVERY_MODE_ASSIGNED,
    OWN_ADVANTAGE,
    Denominators,
    GroupAdvantages,
    Objective,
    ScoredGroups,
    TokenWeights,
    group_relative_advantages,
    one_constant,
)
from thinkless_core.rl.rewards import Correct
from thinkless_core.rl.schedules import StepSettings

if TYPE_CHECKING:
    from torch import Tensor


class Hgpo(Objective):
    """The better mode is rewarded, and within each mode the better answers."""

    unread: ClassVar[Mapping[str, str]] = {"baseline": OWN_ADVANTAGE, "guard": EVERY_MODE_ASSIGNED}
    halves = True

    name: Literal["hgpo"] = "hgpo"
    margin: float = Field(0.2, ge=0, le=1)
    """By how much thinking must be more accurate to count as the better mode (paper: 0.2)."""
    inter_weight: Annotated[Schedule, InRange(gt=0, le=10)] = 1.0
    """Weight of the inter-mode advantage, the paper's alpha (paper: 1). A schedule."""

    def default_reward(self) -> Correct:
        """Being right alone."""
        return Correct()

    def assign_modes(self, group_size: int) -> tuple[AssignedMode, ...]:
        """Half and half, as if chosen."""
        return in_halves(group_size, probability=None)

    @cancelling
    def advantages(self, groups: ScoredGroups, *, step: StepSettings) -> GroupAdvantages:
        """Intra-mode for all tokens; the control token has the weighted inter-mode advantage besides."""
        rewards_PG, short_PG = groups.rewards_PG, groups.short_PG
        num_prompts = len(rewards_PG)
        intra_PG, means = rewards_PG.new_zeros(rewards_PG.shape), []
        for mode_PG in (short_PG, groups.think_PG):
            half_PG = rewards_PG[mode_PG].view(num_prompts, -1)
            best_PG = (half_PG == half_PG.max(dim=1, keepdim=True).values).to(rewards_PG.dtype)
            intra_PG[mode_PG] = group_relative_advantages(best_PG, baseline="mean_std").flatten()
            means.append(half_PG.mean(dim=1, keepdim=True))
        short_mean_P1, think_mean_P1 = means
        thinking_pays_P1 = think_mean_P1 > short_mean_P1 + self.margin
        chosen_well_PG = (short_PG != thinking_pays_P1).to(rewards_PG.dtype)
        inter_PG = group_relative_advantages(chosen_well_PG, baseline="mean_std")
        return GroupAdvantages(control_PG=intra_PG + step.value(self.inter_weight) * inter_PG, response_PG=intra_PG)

    def token_weights(self, mask_BT: Tensor, *, over: Denominators, step: StepSettings) -> TokenWeights:
        """One constant for all tokens of the step."""
        return one_constant(mask_BT, over=over)
