"""`degrpo-token`: control token and response decoupled, the response one mean over all tokens of the step.

Source: the authors' code (VainF/Thinkless at aa225d2, compute_policy_loss in verl's core_algos), which differs from
the paper's eq. 4: long answers weigh more, token by token.

    assign   the policy chooses
    reward   1 correct and short, 1 - gamma correct and think, -1 wrong or malformed
    A_i      r_i - mean_group(r)                    (rl.advantage = "mean_std" divides by the group's deviation)
    w_i0     alpha / B
    w_it     1 / sum_j T_j       for t = 1..T_i
    v_it     1 / sum_j (T_j + 1)

Differs from the code: it takes both means per micro-batch and adds the micro-batches up, so that its loss depends on
how a step happens to be cut; here the sums are those of the step.

Shapes: B rollouts, T completion tokens (index 0 = control token).
"""

from __future__ import annotations

import torch
from torch import Tensor

from thinkless_core.rl.mode_assignment import free_choice
from thinkless_core.rl.objectives.grpo import advantages, reward
from thinkless_core.rl.objectives.objective import Objective
from thinkless_core.rl.policy_loss import StepCounts, TokenWeights


def token_weights(mask_BT: Tensor, *, control_weight: float, counts: StepCounts) -> TokenWeights:
    """alpha on the control token, one mean over the step's tokens on the response."""
    mask_as_weight_BT = mask_BT.to(torch.get_default_dtype())
    policy_BT = mask_as_weight_BT / max(counts.num_response_tokens, 1)
    policy_BT[:, 0] = mask_as_weight_BT[:, 0] * control_weight / counts.num_rollouts
    return TokenWeights(policy_BT, mask_as_weight_BT / (counts.num_response_tokens + counts.num_rollouts))


DEGRPO_TOKEN = Objective(
    "degrpo-token", assign_modes=free_choice, reward=reward, advantages=advantages, token_weights=token_weights
)
