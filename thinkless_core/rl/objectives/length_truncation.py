"""`length-truncation`: no modes. The model always thinks, and learns to be done before it is cut off.

Source: the simplest length penalty there is, truncation: DLER (arXiv 2510.15110) and ThinkPrune (arXiv 2504.01296),
which lowers the limit in rounds (here: a schedule of rl.max_new_tokens).

    assign   every rollout thinks
    reward   1 correct, -1 wrong; truncated is wrong
    A_i      r_i - mean_group(r)                    (rl.baseline = "mean_std" divides by the group's deviation)
    w_i0     0
    w_it     1 / sum_j T_j       for t = 1..T_i
    v_it     1 / sum_j T_j       for t = 1..T_i, v_i0 = 0

The baseline without a choice: what can be saved by thinking shorter alone. It learns nothing about the control token,
so its model is to be evaluated in think mode.
Differs from DLER: the advantage is compared within the group and not normalised over the batch, groups without variance
are not sampled anew; its higher clip is rl.clip_high.

Shapes: B rollouts, T completion tokens (index 0 = control token).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from thinkless_core.rl.mode_assignment import AssignedMode, all_think
from thinkless_core.rl.objectives.objective import EVERY_MODE_ASSIGNED, Denominators, Objective, TokenWeights
from thinkless_core.rl.rewards import RightOrWrong
from thinkless_core.rl.schedules import StepSettings

if TYPE_CHECKING:
    from torch import Tensor


class LengthTruncation(Objective):
    """Always thinks, and learns to be done before it is cut off."""

    unread: ClassVar[Mapping[str, str]] = {
        "guard": EVERY_MODE_ASSIGNED,
        "short_max_tokens": "never answers in short mode",
    }

    name: Literal["length-truncation"] = "length-truncation"

    def default_reward(self) -> RightOrWrong:
        """Right or wrong."""
        return RightOrWrong()

    def assign_modes(self, group_size: int) -> tuple[AssignedMode, ...]:
        """Every rollout thinks."""
        return all_think(group_size)

    def token_weights(self, mask_BT: Tensor, *, over: Denominators, step: StepSettings) -> TokenWeights:
        """One mean over the step's response tokens; nothing on the control token."""
        weights_BT = mask_BT * 1.0 / max(over.num_response_tokens, 1)
        weights_BT[:, 0] = 0.0
        return TokenWeights(weights_BT, weights_BT)
