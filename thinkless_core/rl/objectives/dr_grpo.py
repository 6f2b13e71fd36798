"""`dr_grpo`: GRPO without its two normalisations, by length and by deviation.

Source: Dr. GRPO, "Understanding R1-Zero-like training" (arXiv 2503.20783, section 3.2; repository
sail-sg/understand-r1-zero, whose masked sum is divided by the generation limit).

    assign   the policy chooses
    reward   1 correct and short, 1 - gamma correct and think, -1 wrong or malformed
    A_i      r_i - mean_group(r)
    w_it     1 / (B L)           for t = 0..T_i, L = rl.max_new_tokens
    v_it     1 / (B (T_i + 1))

Both control tokens weigh the same here, as all tokens do: no imbalance between modes, but a control token has one
voice among L.
Differs from the source: a KL term (it has none; rl.kl_coef = 0 gives the original), weighted per rollout so that the
metric `kl` means the same under every objective; and Thinkless's reward.

Shapes: B rollouts, T completion tokens (index 0 = control token).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from schemas.configs.objective import cancelling
from thinkless_core.rl.objectives.objective import (
    OWN_ADVANTAGE,
    Denominators,
    GroupAdvantages,
    Objective,
    ScoredGroups,
    TokenWeights,
    group_relative_advantages,
    one_constant,
)
from thinkless_core.rl.schedules import StepSettings

if TYPE_CHECKING:
    from torch import Tensor


class DrGrpo(Objective):
    """GRPO without its two normalisations."""

    unread: ClassVar[Mapping[str, str]] = {"baseline": OWN_ADVANTAGE}
    name: Literal["dr_grpo"] = "dr_grpo"

    @cancelling
    def advantages(self, groups: ScoredGroups, *, step: StepSettings) -> GroupAdvantages:
        """Reward over the group's mean, never divided."""
        advantages_PG = group_relative_advantages(groups.rewards_PG, baseline="mean")
        return GroupAdvantages(advantages_PG, advantages_PG)

    def token_weights(self, mask_BT: Tensor, *, over: Denominators, step: StepSettings) -> TokenWeights:
        """One constant for all tokens of the step."""
        return one_constant(mask_BT, over=over)
