"""The loss by hand (read this first), then against the loop-only oracle and at its edges.

    L = min( rho A , clip(rho, 1 - clip_low, 1 + clip_high) A )       rho = pi / pi_old,  loss = - sum of weight L

Shapes: B rollouts, T completion tokens (index 0 = control token).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from tests.invariants import loss_checks
from tests.specimens import rl_config
from thinkless_core.rl import policy_loss as policy_loss_module
from thinkless_core.rl.objectives.degrpo_paper import DegrpoPaper
from thinkless_core.rl.objectives.objective import Denominators, TokenWeights
from thinkless_core.rl.policy_loss import PolicyLoss, policy_loss
from thinkless_core.rl.schedules import settings_at


def degrpo_of_one_rollout(
    ratios: Sequence[float], *, advantage: float, alpha: float, clip: float = 0.2
) -> tuple[PolicyLoss, Tensor]:
    """Loss of a step with a single rollout whose tokens have these ratios pi / pi_old; and d loss / d log pi."""
    num_tokens = len(ratios)
    logprobs_BT = torch.full((1, num_tokens), -1.0, dtype=torch.float64, requires_grad=True)
    old_BT = torch.tensor([[-1.0 - math.log(ratio) for ratio in ratios]], dtype=torch.float64)
    mask_BT = torch.ones(1, num_tokens, dtype=torch.bool)
    over = Denominators(num_rollouts=1, num_response_tokens=num_tokens - 1, max_new_tokens=16)
    advantage_B = torch.tensor([advantage], dtype=torch.float64)
    loss = policy_loss(
        logprobs_BT,
        old_logprobs_BT=old_BT,
        ref_logprobs_BT=None,
        control_advantages_B=advantage_B,
        response_advantages_B=advantage_B,
        completion_mask_BT=mask_BT,
        weights=DegrpoPaper(alpha=alpha).token_weights(mask_BT, over=over, step=settings_at(rl_config(), step=1)),
        clip_low=clip,
        clip_high=clip,
        kl_coef=0.0,
    )
    loss.total.backward()
    return loss, logprobs_BT.grad


def test_a_good_token_that_became_much_likelier_is_clipped_above() -> None:
    # A = 2, rho = 1.5 for the control token, 1.1 and 1.5 for two response tokens; clip range 0.8 to 1.2.
    #   control:  L = min(1.5 * 2, 1.2 * 2) = 2.4, cut        weight alpha / B = 0.5 / 1
    #   response: L = min(1.1 * 2, 1.1 * 2) = 2.2             weight 1 / (B T) = 1 / 2
    #             L = min(1.5 * 2, 1.2 * 2) = 2.4, cut        weight 1 / 2
    loss, gradient_BT = degrpo_of_one_rollout([1.5, 1.1, 1.5], advantage=2.0, alpha=0.5)
    assert float(loss.sums["control_loss"]) == pytest.approx(-0.5 * 2.4)
    assert float(loss.sums["response_loss"]) == pytest.approx(-(2.2 + 2.4) / 2)
    assert float(loss.sums["loss"]) == pytest.approx(-1.2 - 2.3)
    # d rho / d log pi = rho, so a token that is not cut has the gradient -weight * rho * A = -1/2 * 1.1 * 2.
    assert gradient_BT.tolist() == [pytest.approx([0.0, -1.1, 0.0])]
    assert loss.sums["clipped"].tolist() == [2]


def test_a_bad_token_that_became_much_rarer_is_clipped_below() -> None:
    # A = -2, rho = 0.5 and 1.5; clip range 0.8 to 1.2.
    #   control:  L = min(0.5 * -2, 0.8 * -2) = -1.6, cut     weight alpha / B = 1
    #   response: L = min(1.5 * -2, 1.2 * -2) = -3.0, not cut: a bad token that became likelier is pushed back
    loss, gradient_BT = degrpo_of_one_rollout([0.5, 1.5], advantage=-2.0, alpha=1.0)
    assert float(loss.sums["control_loss"]) == pytest.approx(1.6)
    assert float(loss.sums["response_loss"]) == pytest.approx(3.0)
    assert gradient_BT.tolist() == [pytest.approx([0.0, 1.5 * 2.0])]
    assert loss.sums["clipped"].tolist() == [1]


def test_an_answer_of_one_token_has_a_control_loss_alone() -> None:
    # A = 3, rho = 1: L = 3, weight alpha / B = 0.1. There is no response token, and nothing is divided by its count.
    loss, gradient_BT = degrpo_of_one_rollout([1.0], advantage=3.0, alpha=0.1)
    assert float(loss.sums["loss"]) == float(loss.sums["control_loss"]) == pytest.approx(-0.3)
    assert float(loss.sums["response_loss"]) == 0.0
    assert gradient_BT.tolist() == [pytest.approx([-0.3])]
    assert loss.sums["tokens"].tolist() == [1]


def test_loss_terms_and_gradient_equal_the_oracle_for_all_objectives() -> None:
    loss_checks.loss_equals_the_oracle(policy_loss_module)


def test_float64_inputs_give_float64_results_while_the_default_is_float32() -> None:
    loss, gradient_BT = loss_checks.step_loss(
        policy_loss_module, [[-1.0, -2.0, -0.5]], old=[[-1.1, -2.0, -0.7]], advantages=[1.0]
    )
    assert loss.total.dtype == gradient_BT.dtype == torch.float64


def test_the_clip_cuts_good_tokens_above_and_bad_tokens_below() -> None:
    loss_checks.clip_hand_cases_hold(policy_loss_module)


def test_control_token_and_response_have_advantages_of_their_own() -> None:
    loss_checks.control_and_response_advantages_stay_apart(policy_loss_module)


def test_importance_weighs_the_control_token_and_stays_outside_the_clip() -> None:
    loss_checks.importance_hand_cases_hold(policy_loss_module)


def test_padding_never_reaches_the_loss() -> None:
    loss_checks.padding_never_reaches_the_loss(policy_loss_module)


def test_ratio_one_gives_the_reinforce_gradient() -> None:
    loss_checks.ratio_one_gives_reinforce(policy_loss_module)


def test_k3_equals_the_oracle_and_is_never_negative() -> None:
    loss_checks.k3_equals_the_oracle(policy_loss_module)


def test_k3_averages_to_the_true_divergence() -> None:
    """E_policy[k3] = KL(policy || reference), summed over the whole vocabulary instead of sampled."""
    policy_V = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    reference_V = torch.full((4,), 0.25, dtype=torch.float64)
    estimate_V = policy_loss_module.k3_estimate(policy_V.log(), ref_logprobs_BT=reference_V.log())
    torch.testing.assert_close((policy_V * estimate_V).sum(), (policy_V * (policy_V / reference_V).log()).sum())


def test_a_zero_advantage_leaves_the_kl_term_alone() -> None:
    reference = [[-0.5, -1.5]]
    loss, gradient_BT = loss_checks.step_loss(
        policy_loss_module, [[-1.0, -1.0]], old=[[-1.0, -1.0]], reference=reference, advantages=[0.0], beta=0.1
    )
    assert float(loss.sums["control_loss"]) == float(loss.sums["response_loss"]) == 0.0
    assert float(loss.sums["loss"]) == pytest.approx(0.1 * float(loss.sums["kl"]))
    assert gradient_BT[0, 0] < 0 < gradient_BT[0, 1]  # towards the reference: up where it is likelier, down where not


def test_gradient_flows_through_the_policy_alone() -> None:
    tensors = [torch.full((1, 2), -1.0, requires_grad=True) for _ in range(3)]
    loss = policy_loss(
        tensors[0],
        old_logprobs_BT=tensors[1].detach(),
        ref_logprobs_BT=tensors[2].detach(),
        control_advantages_B=torch.ones(1),
        response_advantages_B=torch.ones(1),
        completion_mask_BT=torch.ones(1, 2, dtype=torch.bool),
        weights=TokenWeights(torch.ones(1, 2), torch.ones(1, 2)),
        clip_low=0.2,
        clip_high=0.2,
        kl_coef=0.1,
    )
    loss.total.backward()
    assert tensors[0].grad is not None
    assert not any(value.requires_grad for value in loss.sums.values())
