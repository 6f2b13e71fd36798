"""`adaptthink`: answer briefly wherever that costs no accuracy, compared with the model as it was.

Source: AdaptThink (arXiv 2505.13417, section 3; repository THU-KEG/AdaptThink, src/adapt_think_core_algos.py and
src/adapt_think_rm.py).

    assign   half of the group short, half think: q(c) = 0.5
    reward   1[correct] + delta 1[short]
    A_i      r_i - acc_ref(x_i)                     acc_ref: accuracy of the warm-up model's thinking on that problem
    w_it     1 / (B L)           for t = 0..T_i, L = rl.max_new_tokens;  w_i0 times u_i = pi_old(c_i) / 0.5
    v_it     1 / (B (T_i + 1))

Both modes are seen at every problem, however rare one becomes; the importance weight u makes the expected gradient
that of the policy's own choice. Short wins if its accuracy is over that of thinking less delta.
Differs from the source: (1) The ratio clipped is pi / pi_old, u stays outside the clip: clipped as a whole, the
control token could never leave [0.4, 0.6] at 0.2; the authors' code escapes that by a ratio of whole
sequences, length-normalised, in which the first token hardly counts. (2) Divided by the constant L, not by each
length, which would weigh short and think control tokens differently. (3) A fake short completion earns no delta.
(4) A KL term (it has none; rl.kl_coef = 0 gives the original). (5) acc_ref is measured for the problems that the run
visits, at the temperature of the first step.

Shapes: P prompts, G group.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from thinkless_core.rl.mode_assignment import AssignedMode, in_halves
from thinkless_core.rl.objectives.objective import (
    EVERY_MODE_ASSIGNED,
    OWN_ADVANTAGE,
    Denominators,
    GroupAdvantages,
    Objective,
    ScoredGroups,
    TokenWeights,
    one_constant,
)
from thinkless_core.rl.rewards import ShortBonus
from thinkless_core.rl.schedules import StepSettings

if TYPE_CHECKING:
    from torch import Tensor


class AdaptThink(Objective):
    """Short wherever that costs no accuracy."""

    unread: ClassVar[Mapping[str, str]] = {"baseline": OWN_ADVANTAGE, "guard": EVERY_MODE_ASSIGNED}
    reward_fields = ("delta",)
    halves = True

    name: Literal["adaptthink"] = "adaptthink"
    delta: float = Field(0.05, ge=0, le=1)
    """What a short answer earns beside being right (paper: 0.05)."""
    reference_samples: int = Field(ge=1)
    """Think answers of the warm-up model per problem, from which the accuracy comes that RL must not fall below (paper:
    16; 4 tells quarters apart). They are sampled before the first step."""

    def default_reward(self) -> ShortBonus:
        """Being right, and a little for being short."""
        return ShortBonus(delta=self.delta)

    def num_reference_samples(self) -> int:
        """As configured."""
        return self.reference_samples

    def assign_modes(self, group_size: int) -> tuple[AssignedMode, ...]:
        """Half and half, each mode with probability 0.5."""
        return in_halves(group_size, probability=0.5)

    def advantages(self, groups: ScoredGroups, *, step: StepSettings) -> GroupAdvantages:
        """Reward over the reference accuracy of the problem, for all tokens."""
        assert groups.reference_accuracy_P is not None, "reference accuracies are measured before the first step"
        advantages_PG = groups.rewards_PG - groups.reference_accuracy_P[:, None]
        return GroupAdvantages(advantages_PG, advantages_PG)

    def token_weights(self, mask_BT: Tensor, *, over: Denominators, step: StepSettings) -> TokenWeights:
        """One constant for all tokens of the step."""
        return one_constant(mask_BT, over=over)
