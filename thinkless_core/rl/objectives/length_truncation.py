"""`length-truncation`: no modes. The model always thinks, and learns to be done before it is cut off.

Source: the simplest length penalty there is, truncation: DLER (arXiv 2510.15110) and ThinkPrune (arXiv 2504.01296),
which lowers the limit in rounds (here: a schedule of rl.max_new_tokens).

    assign   every rollout thinks
    reward   1 correct, -1 wrong; truncated is wrong
    A_i      r_i - mean_group(r)                    (rl.advantage = "mean_std" divides by the group's deviation)
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

import torch
from torch import Tensor

from schemas.configs.rl import RlConfig
from thinkless_core.rl.mode_assignment import all_think
from thinkless_core.rl.objectives.grpo import advantages
from thinkless_core.rl.objectives.objective import Objective
from thinkless_core.rl.policy_loss import StepCounts, TokenWeights
from thinkless_core.rl.rewards import Verdict
from thinkless_core.rl.schedules import StepSettings


def reward(verdict: Verdict, *, config: RlConfig, settings: StepSettings) -> float:
    """Right or wrong."""
    return 1.0 if verdict.correct else -1.0


def token_weights(mask_BT: Tensor, *, control_weight: float, counts: StepCounts) -> TokenWeights:
    """One mean over the step's response tokens; nothing on the control token."""
    weights_BT = mask_BT.to(torch.get_default_dtype()) / max(counts.num_response_tokens, 1)
    weights_BT[:, 0] = 0.0
    return TokenWeights(weights_BT, weights_BT)


LENGTH_TRUNCATION = Objective(
    "length-truncation", assign_modes=all_think, reward=reward, advantages=advantages, token_weights=token_weights
)
