"""Padding, order and company are irrelevant, and prompts are never learned."""

from __future__ import annotations

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from schemas.mode import Mode
from tests.invariants import training_checks
from tests.oracles.objectives import NAMES
from tests.oracles.student import sequence_logprobs
from tests.specimens import GradientRecorder, make_batch, make_student, ragged_samples, rl_config
from thinkless_core.rl import policy_update
from thinkless_core.rl.schedules import settings_at
from thinkless_core.student.rendering import Sample
from thinkless_core.training import logprobs
from thinkless_core.training.sft_trainer import accumulate_sft_loss
from thinkless_core.training.sided_samples import SidedSamples


def test_logprobs_of_a_padded_batch_equal_those_of_plain_forward_passes() -> None:
    training_checks.logprobs_equal_a_plain_forward(logprobs)


class LogitsSpy:
    """Keeps the logits a model computes, and their gradient."""

    def __init__(self, model: nn.Module) -> None:
        self.seen: list[Tensor] = []
        model.lm_head.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: object, logits: Tensor) -> None:
        logits.retain_grad()
        self.seen.append(logits)


def assert_only_completions_are_learned(spy: LogitsSpy, samples: list[Sample], *, first_learned: int = 0) -> None:
    """Padded: exactly zero gradient on every logit that predicts a prompt token or padding, some on every other.

    Packed: there are no other logits than those of completion tokens. `first_learned`: 1 where control tokens are not
    to be learned.
    """
    assert len(spy.seen) == 1, "one forward pass was expected"
    gradient_BLV = spy.seen[0].grad
    packed = len(gradient_BLV) == 1
    if packed:
        learned = gradient_BLV[0].any(dim=1).tolist()
        assert learned == [t >= first_learned for s in samples for t in range(len(s.completion_ids))]
        return
    first = min(len(s.prompt_ids) for s in samples) - 1
    for row, sample in enumerate(samples):
        start = len(sample.prompt_ids) - 1 - first
        begin, end = start + first_learned, start + len(sample.completion_ids)
        for column in range(gradient_BLV.shape[1]):
            learned = bool(gradient_BLV[row, column].any())
            assert learned == (begin <= column < end), f"sample {row}, column {column + first}"


@pytest.mark.parametrize("packed", [True, False])
def test_prompt_tokens_get_exactly_zero_gradient_in_sft(packed: bool) -> None:
    model = make_student()
    model._supports_attention_backend = packed
    spy = LogitsSpy(model)
    # Sorted by length, as one micro-batch has them.
    samples = sorted((Sample(tuple(p), tuple(c)) for p, c in ragged_samples(6)), key=len)
    batch = SidedSamples(tuple(samples), (Mode.SHORT,) * 6)
    accumulate_sft_loss(model, batch, pad_id=0, micro_batch_tokens=4096, accelerator=Accelerator())
    assert_only_completions_are_learned(spy, samples)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("objective", NAMES)
def test_prompt_tokens_get_exactly_zero_gradient_in_rl(objective: str, packed: bool) -> None:
    model = make_student()
    model._supports_attention_backend = packed
    spy = LogitsSpy(model)
    pairs = sorted(ragged_samples(6), key=lambda s: len(s[0]) + len(s[1]))
    training_checks.run_update(
        policy_update,
        make_batch(pairs, [1.0, -1.0, 0.5, -0.5, 0.25, 0.75]),
        config=rl_config(objective=objective),
        model=model,
    )
    samples = [Sample(tuple(p), tuple(c)) for p, c in pairs]
    assert_only_completions_are_learned(spy, samples, first_learned=int(objective == "length-truncation"))


def test_the_order_of_rollouts_is_irrelevant_to_the_gradient() -> None:
    samples, advantages = ragged_samples(6), [0.9, -0.4, 0.3, -1.0, 0.6, 0.2]
    _, forward = training_checks.update_gradient(policy_update, samples, advantages, micro_batch_tokens=64)
    _, backward = training_checks.update_gradient(policy_update, samples[::-1], advantages[::-1], micro_batch_tokens=64)
    training_checks.same_gradient(forward, backward)


def test_the_padding_id_is_irrelevant_to_the_gradient(tokenizer: PreTrainedTokenizerFast) -> None:
    samples = tuple(Sample(tuple(p), tuple(c)) for p, c in ragged_samples(6))
    gradients = []
    for pad_id in (tokenizer.pad_token_id, 60):
        model = make_student()
        batch = SidedSamples(samples, (Mode.SHORT,) * 6)
        accumulate_sft_loss(model, batch, pad_id=pad_id, micro_batch_tokens=4096, accelerator=Accelerator())
        recorder = GradientRecorder(model)
        recorder.step()
        gradients.append(recorder.gradients[0])
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])


def test_sampling_logprobs_come_back_in_the_order_of_the_rollouts_with_their_own_lengths() -> None:
    model = make_student(scale=2.0)
    samples = ragged_samples(9)
    batch = make_batch(samples, [0.0] * 9)  # no advantage: they are needed all the same
    config = rl_config(micro_batch_tokens=64, temperature=0.8)
    old = policy_update.sampling_logprobs(model, batch, config=config, settings=settings_at(config, step=1), pad_id=0)
    assert [len(row) for row in old] == [len(c) for _, c in samples]
    for row, (prompt, completion) in zip(old, samples, strict=True):
        expected = sequence_logprobs(model, prompt, completion, temperature=0.8)
        torch.testing.assert_close(row, torch.tensor(expected).float())  # the model computes in float32
        assert not row.requires_grad
