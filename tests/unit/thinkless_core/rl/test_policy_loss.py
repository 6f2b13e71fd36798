"""The DeGRPO loss and its KL term against the loop-only oracle, by hand, and at its edges."""

from __future__ import annotations

import pytest
import torch

from tests.invariants import loss_checks
from thinkless_core.rl import policy_loss
from thinkless_core.rl.policy_loss import TokenWeights, degrpo_loss


def test_loss_terms_and_gradient_equal_the_oracle_for_all_objectives() -> None:
    loss_checks.loss_equals_the_oracle(policy_loss)


def test_float64_inputs_give_float64_results_while_the_default_is_float32() -> None:
    terms, gradient_BT = loss_checks.step_loss(
        policy_loss, [[-1.0, -2.0, -0.5]], old=[[-1.1, -2.0, -0.7]], advantages=[1.0]
    )
    assert terms.total.dtype == gradient_BT.dtype == torch.float64


def test_the_clip_cuts_good_tokens_above_and_bad_tokens_below() -> None:
    loss_checks.clip_hand_cases_hold(policy_loss)


def test_control_token_and_response_have_advantages_of_their_own() -> None:
    loss_checks.control_and_response_advantages_stay_apart(policy_loss)


def test_importance_weighs_the_control_token_and_stays_outside_the_clip() -> None:
    loss_checks.importance_hand_cases_hold(policy_loss)


def test_padding_never_reaches_the_loss() -> None:
    loss_checks.padding_never_reaches_the_loss(policy_loss)


def test_ratio_one_gives_the_reinforce_gradient() -> None:
    loss_checks.ratio_one_gives_reinforce(policy_loss)


def test_k3_equals_the_oracle_and_is_never_negative() -> None:
    loss_checks.k3_equals_the_oracle(policy_loss)


def test_k3_averages_to_the_true_divergence() -> None:
    """E_policy[k3] = KL(policy || reference), summed over the whole vocabulary instead of sampled."""
    policy_V = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    reference_V = torch.full((4,), 0.25, dtype=torch.float64)
    estimate_V = policy_loss.k3_estimate(policy_V.log(), ref_logprobs_BT=reference_V.log())
    torch.testing.assert_close((policy_V * estimate_V).sum(), (policy_V * (policy_V / reference_V).log()).sum())


def test_a_zero_advantage_leaves_the_kl_term_alone() -> None:
    reference = [[-0.5, -1.5]]
    terms, gradient_BT = loss_checks.step_loss(
        policy_loss, [[-1.0, -1.0]], old=[[-1.0, -1.0]], reference=reference, advantages=[0.0], beta=0.1
    )
    assert float(terms.control) == float(terms.response) == 0.0
    assert float(terms.total.detach()) == pytest.approx(0.1 * float(terms.kl))
    assert gradient_BT[0, 0] < 0 < gradient_BT[0, 1]  # towards the reference: up where it is likelier, down where not


def test_gradient_flows_through_the_policy_alone() -> None:
    tensors = [torch.full((1, 2), -1.0, requires_grad=True) for _ in range(3)]
    terms = degrpo_loss(
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
    terms.total.backward()
    assert tensors[0].grad is not None
    assert not any(t.requires_grad for t in (terms.control, terms.response, terms.kl))
