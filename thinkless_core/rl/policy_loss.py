"""The loss of every objective: clipped policy gradient with a weight per token (Thinkless, arXiv 2505.13379, eq. 4).

    L_it = min( rho_it A_it , clip(rho_it, 1 - clip_low, 1 + clip_high) A_it )
    J    = sum_it [ w_it L_it ] - beta sum_it [ v_it KL_it(policy || reference) ]
    loss = -J

What makes it DeGRPO, GRPO or another is data: the weights w and v, and the advantages A of the control token (t = 0)
and of the response (t >= 1). Both come from an objective (thinkless_core/rl/objectives/). Their denominators are
counted over the WHOLE optimiser step (all micro-batches), so that splitting a step never changes its gradient: the
loss of the step is the sum of its micro-batches' losses.

A control token that was drawn with a known probability q, and not chosen by the policy, is weighted by the importance
u_i = pi_old(c_i) / q(c_i), a constant: w_i0 L_i0 becomes w_i0 u_i L_i0. Only rho = pi / pi_old is clipped: that is the
part of the ratio that an update can move.
Differs from the paper: the mean over a group (1/G) is taken over all rollouts of the step (1/B). Groups are of one
size, so this is the mean over prompts of the group means.

Shapes: B rollouts, T completion tokens (index 0 = control token). Masks are bool, True = counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from thinkless_core.rl.objectives.objective import TokenWeights


class PolicyLoss(NamedTuple):
    """The loss of one micro-batch, and the numbers that are worth a look."""

    total: Tensor
    """The gradient is taken of this."""
    sums: Mapping[str, Tensor]
    """Numbers that add up over micro-batches to those of the step, without gradient: scalars, and one per rollout (B).

    loss           `total`
    control_loss   share of `total` from control tokens, their weight included
    response_loss  share of `total` from response tokens
    kl             KL with its normalisation, without its coefficient
    clipped (B)    tokens on which the clip is active: their gradient is cut
    tokens (B)     completion tokens
    """


def policy_loss(
    logprobs_BT: Tensor,
    *,
    old_logprobs_BT: Tensor,
    ref_logprobs_BT: Tensor | None,
    control_advantages_B: Tensor,
    response_advantages_B: Tensor,
    completion_mask_BT: Tensor,
    weights: TokenWeights,
    control_importance_B: Tensor | None = None,
    clip_low: float,
    clip_high: float,
    kl_coef: float,
) -> PolicyLoss:
    """Loss of one micro-batch.

    logprobs_BT: log pi(token) under the policy being trained (gradient flows through this alone).
    old_logprobs_BT: the same under the policy that sampled. ref_logprobs_BT: under the fixed warm-up model; None if
    kl_coef is 0. control_importance_B: pi_old / q of token 0; None if the policy chose all modes.
    """
    # Padding holds arbitrary numbers; masked before the exponential, they cannot overflow into a NaN gradient.
    log_ratio_BT = (logprobs_BT - old_logprobs_BT).masked_fill(~completion_mask_BT, 0.0)
    ratio_BT = log_ratio_BT.exp()
    advantages_BT = response_advantages_B[:, None].repeat(1, logprobs_BT.shape[1])
    advantages_BT[:, 0] = control_advantages_B
    free_BT = ratio_BT * advantages_BT
    clipped_BT = ratio_BT.clamp(1 - clip_low, 1 + clip_high) * advantages_BT
    loss_BT = -torch.minimum(free_BT, clipped_BT) * weights.policy_BT
    control_B = loss_BT[:, 0] if control_importance_B is None else loss_BT[:, 0] * control_importance_B
    control, response = control_B.sum(), loss_BT[:, 1:].sum()
    kl = logprobs_BT.new_zeros(())
    if ref_logprobs_BT is not None:
        k3_BT = k3_estimate(
            logprobs_BT.masked_fill(~completion_mask_BT, 0.0),
            ref_logprobs_BT=ref_logprobs_BT.masked_fill(~completion_mask_BT, 0.0),
        )
        kl = (k3_BT * weights.kl_BT).sum()
    total = control + response + kl_coef * kl
    sums = {
        "loss": total,
        "control_loss": control,
        "response_loss": response,
        "kl": kl,
        "clipped": ((clipped_BT < free_BT) & completion_mask_BT).sum(dim=1),
        "tokens": completion_mask_BT.sum(dim=1),
    }
    return PolicyLoss(total, {name: value.detach() for name, value in sums.items()})


def k3_estimate(logprobs_BT: Tensor, *, ref_logprobs_BT: Tensor) -> Tensor:
    """k3 = exp(d) - d - 1 with d = ref_logprob - logprob: unbiased, never negative, low variance.

    Shapes (B, T). Source: J. Schulman, "Approximating KL Divergence"; DeepSeekMath (arXiv 2402.03300) eq. 4.
    Differs from the reference code: no clamp of the log-ratio, which would silently cut the gradient.
    """
    log_ratio_BT = ref_logprobs_BT - logprobs_BT
    return log_ratio_BT.exp() - log_ratio_BT - 1
