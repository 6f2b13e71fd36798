"""How a step is cut into forward passes never changes its gradient."""

from __future__ import annotations

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from schemas.errors import TrainingError
from tests.invariants import training_checks
from tests.invariants.training_checks import run_update
from tests.specimens import (
    GradientRecorder,
    identical,
    make_batch,
    make_pairs,
    make_student,
    ragged_samples,
    rl_config,
    weights_of,
)
from thinkless_core.rl import policy_update
from thinkless_core.rl.policy_batch import PolicyBatch
from thinkless_core.student.rendering import Sample
from thinkless_core.training import sft_trainer, sided_samples
from thinkless_core.training.micro_batches import padded_micro_batches
from thinkless_core.training.sft_trainer import SideLosses, accumulate_sft_loss
from thinkless_core.training.sided_samples import SidedSamples, pair_samples


def test_policy_updates_in_one_pass_and_in_many_have_the_same_gradient() -> None:
    training_checks.micro_batches_do_not_change_the_gradient(policy_update)


def test_a_policy_update_equals_the_oracle_on_plain_forward_passes() -> None:
    training_checks.update_loss_equals_the_oracle(policy_update)


def test_a_control_token_may_be_learned_where_the_response_is_not_and_the_other_way_round() -> None:
    """A rollout is left out only where neither of its advantages says anything."""
    samples = ragged_samples(4)
    batch = make_batch(samples, [0.0, 0.0, 1.0, 0.0], control_advantages=[0.0, 1.0, 0.0, 0.0])
    kept = [
        i for micro in batch.micro_batches(model=make_student(), max_tokens=64, skip_zero_advantage=True) for i in micro
    ]
    assert sorted(kept) == [1, 2]


def test_clipped_tokens_are_counted_by_mode() -> None:
    training_checks.clipped_tokens_are_counted_by_mode(policy_update)


def _sft_gradient(batch: SidedSamples, *, micro_batch_tokens: int) -> tuple[SideLosses, dict[str, Tensor]]:
    model = make_student(scale=2.0)
    losses = accumulate_sft_loss(
        model, batch, pad_id=0, micro_batch_tokens=micro_batch_tokens, accelerator=Accelerator()
    )
    recorder = GradientRecorder(model)
    recorder.step()
    return losses, recorder.gradients[0]


def test_sft_in_one_pass_and_in_many_has_the_same_gradient(tokenizer: PreTrainedTokenizerFast) -> None:
    batch = pair_samples(make_pairs(6, mix=(0.4, 0.3, 0.3)), tokenizer=tokenizer)
    whole, gradient = _sft_gradient(batch, micro_batch_tokens=4096)
    single, gradient_of_single = _sft_gradient(batch, micro_batch_tokens=1)
    training_checks.same_gradient(gradient, gradient_of_single)
    for name in ("all", "think", "short"):
        assert getattr(single, name) == pytest.approx(getattr(whole, name), rel=1e-5)  # float32 sums, other order


def test_every_pair_is_two_samples() -> None:
    training_checks.pairs_are_two_samples_each(sided_samples)


def test_the_sft_loss_equals_the_oracle_on_plain_forward_passes() -> None:
    training_checks.sft_loss_equals_the_oracle(sft_trainer)


def test_the_sft_gradient_equals_that_of_the_models_own_loss() -> None:
    training_checks.sft_gradient_is_that_of_the_loss(sft_trainer)


def test_the_gradient_of_a_step_is_the_sum_over_its_shares_of_rollouts() -> None:
    """What several processes would each compute with the step's denominators adds up to the step's gradient."""
    samples, advantages = ragged_samples(6), [0.9, -0.4, 0.3, -1.0, 0.6, 0.2]
    whole = make_batch(samples, advantages)

    class Share(PolicyBatch):
        denominators = whole.denominators

    gradients = []
    halves = [
        Share(whole.scored[rows], whole.advantages_B[rows], whole.control_advantages_B[rows], whole.max_new_tokens)
        for rows in (slice(0, 3), slice(3, 6))
    ]
    for batch in (whole, *halves):
        _, recorder = run_update(policy_update, batch, config=rl_config(objective="degrpo-token"))
        gradients.append(recorder.gradients[0])
    training_checks.same_gradient(gradients[0], {n: gradients[1][n] + gradients[2][n] for n in gradients[0]})


def test_rollouts_without_advantage_may_be_skipped_where_no_kl_acts() -> None:
    samples, advantages = ragged_samples(6), [0.5, 0.0, -0.5, 0.0, 0.0, 0.25]

    class Unskipped(PolicyBatch):
        def micro_batches(
            self, *, model: PreTrainedModel, max_tokens: int, skip_zero_advantage: bool
        ) -> list[list[int]]:
            assert skip_zero_advantage, "with no reference, skipping is what is tested"
            return super().micro_batches(model=model, max_tokens=max_tokens, skip_zero_advantage=False)

    made = make_batch(samples, advantages)
    gradients = []
    for batch in (made, Unskipped(made.scored, made.advantages_B, made.control_advantages_B, made.max_new_tokens)):
        numbers, recorder = run_update(policy_update, batch, config=rl_config())
        gradients.append((numbers["loss"], recorder.gradients[0]))
    assert gradients[0][0] == pytest.approx(gradients[1][0], abs=1e-6)  # float32 sums, other order
    training_checks.same_gradient(gradients[0][1], gradients[1][1])


def test_a_step_without_any_gradient_does_not_move_the_weights_by_momentum() -> None:
    numbers, recorder = run_update(policy_update, make_batch(ragged_samples(3), [0.0] * 3), config=rl_config())
    assert recorder.gradients == []
    assert numbers["loss"] == numbers["grad_norm"] == 0.0


def test_old_logprobs_left_out_equal_those_of_a_policy_that_has_not_moved() -> None:
    samples, advantages = ragged_samples(5), [0.5, -0.25, -0.5, 1.0, -0.75]
    results = []
    for given in (False, True):
        model = make_student(scale=2.0)
        _, recorder = run_update(
            policy_update,
            make_batch(samples, advantages),
            config=rl_config(),
            model=model,
            sampled_by=model if given else None,
        )
        results.append(recorder.gradients[0])
    training_checks.same_gradient(results[0], results[1])


def test_micro_batches_hold_every_sample_once_and_stay_within_the_limit() -> None:
    samples = [Sample(tuple(p), tuple(c)) for p, c in ragged_samples(40)]
    batches = padded_micro_batches(samples, max_tokens=50)
    assert sorted(i for batch in batches for i in batch) == list(range(40))
    for batch in batches:
        assert len(batch) == 1 or max(len(samples[i]) for i in batch) * len(batch) <= 50
    assert len(batches) > 5
    assert padded_micro_batches([], max_tokens=50) == []


def test_a_sample_longer_than_the_limit_gets_a_micro_batch_of_its_own() -> None:
    samples = [Sample((3,), (5, 1)), Sample((3,) * 90, (5, 1)), Sample((3,) * 91, (5, 1))]
    assert padded_micro_batches(samples, max_tokens=64) == [[0], [1], [2]]


def test_a_loss_that_is_not_finite_stops_training_before_the_weights_move() -> None:
    batch = make_batch(ragged_samples(2), torch.tensor([float("nan"), 1.0]))
    model = make_student()
    before = weights_of(model)
    with pytest.raises(TrainingError, match=r"loss nan .* not finite; lower rl.optimizer.learning_rate"):
        run_update(policy_update, batch, config=rl_config(), model=model)
    assert identical(weights_of(model), before)
