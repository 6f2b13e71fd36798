"""The loss of every objective: clipped policy gradient with a weight per token (Thinkless, arXiv 2505.13379, eq. 4).

    L_it = min( rho_it A_it , clip(rho_it, 1 - clip_low, 1 + clip_high) A_it )
    J    = sum_it [ w_it L_it ] - beta sum_it [ v_it KL_it(policy || reference) ]
    loss = -J

What makes it DeGRPO, GRPO or another is data: the weights w and v, and the advantages A of the control token (t = 0)
and of the response (t >= 1). Both come from an objective (thinkless_core/rl/objectives/), counted over the WHOLE
optimiser step (all micro-batches), so that splitting a step never changes its gradient. The sum of micro-batch
losses is the loss of the step.

A control token that was not the policy's choice but drawn with a known probability q is weighted by the importance
u_i = pi_old(c_i) / q(c_i), a constant: w_i0 L_i0 becomes w_i0 u_i L_i0. The clip stays one of rho = pi / pi_old, the
part of the ratio that an update can move.
Differs from the paper: the group average 1/G is taken over all rollouts of the step (1/B), the mean over prompts of
the group means, groups being of one size.

Shapes: B rollouts, T completion tokens (index 0 = control token). Masks are bool, True = counts.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class StepCounts(NamedTuple):
    """Denominators, counted over the whole optimiser step."""

    num_rollouts: int
    num_response_tokens: int
    """Completion tokens after the control token, over all rollouts."""
    max_new_tokens: int
    """Limit of a completion at this step: the denominator that is the same for all."""


class TokenWeights(NamedTuple):
    """Weight of each token in the policy term and in the KL term, shape (B, T); 0 where nothing counts."""

    policy_BT: Tensor
    kl_BT: Tensor


class LossTerms(NamedTuple):
    """The loss of one micro-batch; each term adds up over micro-batches to that of the step."""

    total: Tensor
    control: Tensor
    """Share of `total` from control tokens, their weight included."""
    response: Tensor
    kl: Tensor
    """KL with its normalisation, without its coefficient."""
    num_clipped_B: Tensor
    """Tokens of each rollout on which the clip is active (its gradient is cut), as a count."""


def degrpo_loss(
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
) -> LossTerms:
    """Loss of one micro-batch.

    logprobs_BT: log pi(token) under the policy being trained (gradient flows through this alone).
    old_logprobs_BT: the same under the policy that sampled. ref_logprobs_BT: under the fixed warm-up model, or None
    where kl_coef is 0. control_importance_B: pi_old / q of token 0, or None where the policy chose them all.
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
    return LossTerms(
        total=control + response + kl_coef * kl,
        control=control.detach(),
        response=response.detach(),
        kl=kl.detach(),
        num_clipped_B=((clipped_BT < free_BT) & completion_mask_BT).sum(dim=1).detach(),
    )


def k3_estimate(logprobs_BT: Tensor, *, ref_logprobs_BT: Tensor) -> Tensor:
    """k3 = exp(d) - d - 1 with d = ref_logprob - logprob: unbiased, never negative, low variance.

    Shapes (B, T). Source: J. Schulman, "Approximating KL Divergence"; DeepSeekMath (arXiv 2402.03300) eq. 4.
    Differs from the reference code: no clamp of the log-ratio, which would silently cut the gradient.
    """
    log_ratio_BT = ref_logprobs_BT - logprobs_BT
    return log_ratio_BT.exp() - log_ratio_BT - 1
