"""`degrpo-token`: control token and response decoupled, the response one mean over all tokens of the step.

Source: the authors' code (VainF/Thinkless at aa225d2, compute_policy_loss in verl's core_algos), which differs from
the paper's eq. 4: long answers weigh more, token by token.

    assign   the policy chooses
    reward   1 correct and short, 1 - gamma correct and think, -1 wrong or malformed
    A_i      r_i - mean_group(r)                    (rl.baseline = "mean_std" divides by the group's deviation)
    w_i0     alpha / B
    w_it     1 / sum_j T_j       for t = 1..T_i
    v_it     1 / sum_j (T_j + 1)

Differs from the code: it takes both means per micro-batch and adds the micro-batches up, so that its loss depends on
how a step happens to be cut; here the sums are those of the step.

Shapes: B rollouts, T completion tokens (index 0 = control token).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from schemas.configs.schedule import InRange, Schedule
from thinkless_core.rl.objectives.objective import Denominators, Objective, TokenWeights
from thinkless_core.rl.schedules import StepSettings

if TYPE_CHECKING:
    from torch import Tensor


class DegrpoToken(Objective):
    """DeGRPO as the authors' code meant it."""

    name: Literal["degrpo-token"] = "degrpo-token"
    alpha: Annotated[Schedule, InRange(gt=0, le=10)] = 1e-3
    """Weight of the control token's loss (paper: 0.001 at mean lengths in the thousands). A schedule."""

    def token_weights(self, mask_BT: Tensor, *, over: Denominators, step: StepSettings) -> TokenWeights:
        """alpha on the control token, one mean over the step's tokens on the response."""
        ones_BT = mask_BT * 1.0
        policy_BT = ones_BT / max(over.num_response_tokens, 1)
        policy_BT[:, 0] = ones_BT[:, 0] * step.value(self.alpha) / over.num_rollouts
        return TokenWeights(policy_BT, ones_BT / (over.num_response_tokens + over.num_rollouts))
