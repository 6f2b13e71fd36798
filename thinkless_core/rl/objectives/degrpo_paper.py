"""`degrpo-paper`: control token and response decoupled, the response a mean per rollout. The default.

Source: DeGRPO, Thinkless (arXiv 2505.13379, eq. 4).

    assign   the policy chooses
    reward   1 correct and short, 1 - gamma correct and think, -1 wrong or malformed
    A_i      r_i - mean_group(r)                    (rl.advantage = "mean_std" divides by the group's deviation)
    w_i0     alpha / B
    w_it     1 / (B T_i)         for t = 1..T_i
    v_it     1 / (B (T_i + 1))

Every control token weighs alpha, whatever its mode and length.
Differs from the paper: malformed and fake short completions (thinkless_core/rl/rewards.py). A rollout without response
tokens has no response term. No entropy bonus, which the authors' code adds by default.

Shapes: B rollouts, T completion tokens (index 0 = control token).
"""

from __future__ import annotations

import torch
from torch import Tensor

from thinkless_core.rl.mode_assignment import free_choice
from thinkless_core.rl.objectives.grpo import advantages, reward, sequence_mean
from thinkless_core.rl.objectives.objective import Objective
from thinkless_core.rl.policy_loss import StepCounts, TokenWeights


def token_weights(mask_BT: Tensor, *, control_weight: float, counts: StepCounts) -> TokenWeights:
    """alpha on the control token, a mean per rollout on the response."""
    mask_as_weight_BT = mask_BT.to(torch.get_default_dtype())
    responses_B1 = (mask_BT.sum(dim=1, keepdim=True) - 1).clamp(min=1)
    policy_BT = mask_as_weight_BT / (counts.num_rollouts * responses_B1)
    policy_BT[:, 0] = mask_as_weight_BT[:, 0] * control_weight / counts.num_rollouts
    return TokenWeights(policy_BT, sequence_mean(mask_BT, counts=counts))


DEGRPO_PAPER = Objective(
    "degrpo-paper", assign_modes=free_choice, reward=reward, advantages=advantages, token_weights=token_weights
)
