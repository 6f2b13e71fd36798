"""`degrpo-paper`: control token and response decoupled, the response a mean per rollout. The default.

Source: DeGRPO, Thinkless (arXiv 2505.13379, eq. 4).

    assign   the policy chooses
    reward   1 correct and short, 1 - gamma correct and think, -1 wrong or malformed
    A_i      r_i - mean_group(r)                    (rl.baseline = "mean_std" divides by the group's deviation)
    w_i0     alpha / B
    w_it     1 / (B T_i)         for t = 1..T_i
    v_it     1 / (B (T_i + 1))

Every control token weighs alpha, whatever its mode and length.
Differs from the paper: malformed and fake short completions (thinkless_core/rl/rewards.py). A rollout without response
tokens has no response term. No entropy bonus, which the authors' code adds by default.

Shapes: B rollouts, T completion tokens (index 0 = control token).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from schemas.configs.schedule import InRange, Schedule
from thinkless_core.rl.objectives.objective import Denominators, Objective, TokenWeights, mean_per_rollout
from thinkless_core.rl.schedules import StepSettings

if TYPE_CHECKING:
    from torch import Tensor


class DegrpoPaper(Objective):
    """DeGRPO as published."""

    name: Literal["degrpo-paper"] = "degrpo-paper"
    alpha: Annotated[Schedule, InRange(gt=0, le=10)] = 1e-3
    """Weight of the control token's loss (paper: 0.001 at mean lengths in the thousands). A schedule."""

    def token_weights(self, mask_BT: Tensor, *, over: Denominators, step: StepSettings) -> TokenWeights:
        """alpha on the control token, a mean per rollout on the response."""
        ones_BT = mask_BT * 1.0
        responses_B1 = (mask_BT.sum(dim=1, keepdim=True) - 1).clamp(min=1)
        policy_BT = ones_BT / (over.num_rollouts * responses_B1)
        policy_BT[:, 0] = ones_BT[:, 0] * step.value(self.alpha) / over.num_rollouts
        return TokenWeights(policy_BT, mean_per_rollout(mask_BT, over=over))
