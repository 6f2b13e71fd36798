"""The DeGRPO loss: control-token loss and response loss, decoupled (Thinkless, arXiv 2505.13379, eq. 4).

    L_it = min( rho_it A_i , clip(rho_it, 1 - clip_low, 1 + clip_high) A_i )
    J    = 1/B sum_i [ alpha L_i0 + 1/T_i sum_{t=1..T_i} L_it ] - beta KL(policy || reference)
    loss = -J

An objective is nothing but a weight per token; one loss serves all of them:

    name     control token (t = 0)   response token (t >= 1)    KL term, every token
    paper    alpha / B               1 / (B T_i)                1 / (B (T_i + 1))
    token    alpha / B               1 / sum_i T_i              1 / sum_i (T_i + 1)
    grpo     1 / (B (T_i + 1))       1 / (B (T_i + 1))          1 / (B (T_i + 1))

`token` is what the authors' code meant; `grpo` is the baseline that collapses. B and the token counts are those of
the WHOLE optimiser step (all micro-batches) and are passed in, so that splitting a step never changes
its gradient. The sum of micro-batch losses is the loss of the step.
Differs from the paper: the group average 1/G is taken over all rollouts of the step (1/B), the mean over prompts of
the group means, groups being of one size. A rollout without response tokens has no response term.

Shapes: B rollouts, T completion tokens (index 0 = control token). Masks are bool, True = counts.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from schemas.configs.rl import Objective
from thinkless_core.kl import k3_estimate


class StepCounts(NamedTuple):
    """Denominators, counted over the whole optimiser step."""

    num_rollouts: int
    num_response_tokens: int
    """Completion tokens after the control token, over all rollouts."""


class LossTerms(NamedTuple):
    """The loss of one micro-batch; each term adds up over micro-batches to that of the step."""

    total: Tensor
    control: Tensor
    """Share of `total` from control tokens, alpha included."""
    response: Tensor
    kl: Tensor
    """KL with its normalisation, without its coefficient."""
    num_clipped: Tensor
    """Tokens on which the clip is active (its gradient is cut), as a count."""


class TokenWeights(NamedTuple):
    """Weight of each token in the policy term and in the KL term, shape (B, T); 0 where nothing counts."""

    policy_BT: Tensor
    kl_BT: Tensor


def token_weights(
    completion_mask_BT: Tensor, *, objective: Objective, control_weight: float, counts: StepCounts
) -> TokenWeights:
    """The objective's table of weights (module docstring), for one micro-batch."""
    mask_BT = completion_mask_BT.to(torch.get_default_dtype())
    lengths_B1 = completion_mask_BT.sum(dim=1, keepdim=True)
    responses_B1 = (lengths_B1 - 1).clamp(min=1)
    rollouts = counts.num_rollouts
    per_sequence_BT = mask_BT / (rollouts * lengths_B1)
    if objective == "grpo":
        return TokenWeights(per_sequence_BT, per_sequence_BT)
    if objective == "paper":
        policy_BT, kl_BT = mask_BT / (rollouts * responses_B1), per_sequence_BT
    else:
        policy_BT = mask_BT / max(counts.num_response_tokens, 1)
        kl_BT = mask_BT / (counts.num_response_tokens + rollouts)
    policy_BT[:, 0] = mask_BT[:, 0] * control_weight / rollouts
    return TokenWeights(policy_BT, kl_BT)


def degrpo_loss(
    logprobs_BT: Tensor,
    *,
    old_logprobs_BT: Tensor,
    ref_logprobs_BT: Tensor | None,
    advantages_B: Tensor,
    completion_mask_BT: Tensor,
    objective: Objective,
    control_weight: float,
    clip_low: float,
    clip_high: float,
    kl_coef: float,
    counts: StepCounts,
) -> LossTerms:
    """Loss of one micro-batch.

    logprobs_BT: log pi(token) under the policy being trained (gradient flows through this alone).
    old_logprobs_BT: the same under the policy that sampled. ref_logprobs_BT: under the fixed warm-up model, or None
    where kl_coef is 0. advantages_B: one per rollout. counts: denominators of the whole step.
    """
    weights = token_weights(completion_mask_BT, objective=objective, control_weight=control_weight, counts=counts)
    # Padding holds arbitrary numbers; masked before the exponential, they cannot overflow into a NaN gradient.
    log_ratio_BT = (logprobs_BT - old_logprobs_BT).masked_fill(~completion_mask_BT, 0.0)
    ratio_BT = log_ratio_BT.exp()
    advantages_B1 = advantages_B[:, None]
    free_BT = ratio_BT * advantages_B1
    clipped_BT = ratio_BT.clamp(1 - clip_low, 1 + clip_high) * advantages_B1
    loss_BT = -torch.minimum(free_BT, clipped_BT) * weights.policy_BT
    control, response = loss_BT[:, 0].sum(), loss_BT[:, 1:].sum()
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
        num_clipped=((clipped_BT < free_BT) & completion_mask_BT).sum().detach(),
    )
