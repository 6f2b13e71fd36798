"""Packed samples: the same log-probabilities and gradients as one unpadded forward pass per sample, computed once."""

from __future__ import annotations

import random

import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM, PreTrainedModel

from tests.oracles.student import sequence_logprobs
from tests.small_llama import small_llama
from tests.specimens import LIVELY, make_student
from thinkless_core.student.rendering import Sample
from thinkless_core.training import logprobs, packing
from thinkless_core.training.logprobs import collate, completion_logprobs, pad_samples
from thinkless_core.training.micro_batches import packed_micro_batches
from thinkless_core.training.packed_attention import packed_attention, supports_packing
from thinkless_core.training.packing import PackedSamples, pack_samples


def grouped_samples(seed: int = 0) -> list[Sample]:
    """Prompts of several lengths, each with several completions from one token to thirty."""
    draw = random.Random(seed)
    samples = []
    for length in (1, 4, 5, 19):
        prompt = tuple(draw.randrange(8, 40) for _ in range(length))
        samples += [
            Sample(prompt, tuple(draw.randrange(8, 40) for _ in range(draw.choice((1, 2, 3, 9, 30))))) for _ in range(5)
        ]
    return samples


def both_ways(model: PreTrainedModel, samples: list[Sample]) -> list[tuple[torch.Tensor, list[torch.Tensor]]]:
    """Log-probabilities and the gradient of their weighted sum, packed and padded."""
    results = []
    for batch in (
        pack_samples(samples, device="cpu", dtype=torch.float32),
        pad_samples(samples, pad_id=0),
    ):
        model.zero_grad()
        values_BT = completion_logprobs(model, batch, temperature=0.7).logprobs_BT.masked_fill(
            ~batch.completion_mask_BT, 0.0
        )
        (values_BT * torch.linspace(-1, 1, values_BT.numel()).view_as(values_BT)).sum().backward()
        results.append((values_BT.detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]))
    return results


def assert_same_gradient(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Equal but for the order of float32 sums over hundreds of tokens, which single small elements may feel."""
    assert float((ours - theirs).norm()) <= 1e-5 * float(theirs.norm()) + 1e-7


def test_packed_logprobs_equal_one_forward_pass_per_sample() -> None:
    model, samples = make_student(scale=LIVELY), grouped_samples()
    batch = collate(samples, model=model, pad_id=0)
    assert isinstance(batch, PackedSamples)
    values_BT = completion_logprobs(model, batch, temperature=0.7).logprobs_BT
    for row, sample in enumerate(samples):
        expected = sequence_logprobs(model, sample.prompt_ids, sample.completion_ids, temperature=0.7)
        # The model computes in float32, hence its default tolerances.
        torch.testing.assert_close(values_BT[row, : len(expected)].detach(), torch.tensor(expected).float())
        assert values_BT[row, len(expected) :].tolist() == [0.0] * (values_BT.shape[1] - len(expected))


@pytest.mark.parametrize("make_model", [lambda: make_student(scale=LIVELY), lambda: small_llama(1)])
@pytest.mark.parametrize("mask_limit", [packing.MAX_MASK_ELEMENTS, 1], ids=["masks", "no mask at all"])
def test_packed_and_padded_give_the_same_gradients(make_model, mask_limit, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(packing, "MAX_MASK_ELEMENTS", mask_limit)
    (packed_BT, packed_grads), (padded_BT, padded_grads) = both_ways(make_model(), grouped_samples(1))
    torch.testing.assert_close(packed_BT, padded_BT)
    for ours, theirs in zip(packed_grads, padded_grads, strict=True):
        assert_same_gradient(ours, theirs)


def test_a_prompt_shared_by_its_completions_stands_in_the_row_once_and_last_tokens_never() -> None:
    prompt, other = (9, 10, 11), (9, 10)
    samples = [Sample(prompt, (5, 20, 1)), Sample(other, (6, 1)), Sample(prompt, (6, 21, 22, 1))]
    batch = pack_samples(samples, device="cpu", dtype=torch.float32)
    assert batch.input_ids_1N.tolist() == [[9, 10, 11, 9, 10, 5, 20, 6, 6, 21, 22]]
    assert batch.position_ids_1N.tolist() == [[0, 1, 2, 0, 1, 3, 4, 2, 3, 4, 5]]
    assert batch.logit_rows_M.tolist() == [2, 5, 6, 4, 7, 2, 8, 9, 10]
    assert batch.completion_ids_M.tolist() == [5, 20, 1, 6, 1, 6, 21, 22, 1]


def samples_of_one_template(seed: int = 0, *, beginning: int = 20) -> list[Sample]:
    """Prompts with the same beginning, as a chat template writes it, and completions of several lengths."""
    draw = random.Random(seed)
    system = tuple(draw.randrange(8, 40) for _ in range(beginning))
    own = [(system + tuple(draw.randrange(8, 40) for _ in range(length))) for length in (1, 2, 9, 9, 17)]
    return [
        Sample(prompt, tuple(draw.randrange(8, 40) for _ in range(length)))
        for prompt in own
        for length in (1, 2, 7, 25)
    ]


@pytest.mark.parametrize("mask_limit", [packing.MAX_MASK_ELEMENTS, 1], ids=["masks", "no mask at all"])
def test_a_beginning_that_all_prompts_share_is_computed_once(mask_limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MAX_MASK_ELEMENTS", mask_limit)
    samples = samples_of_one_template()
    batch = pack_samples(samples, device="cpu", dtype=torch.float32)
    completions = sum(len(s.completion_ids) - 1 for s in samples)
    assert batch.input_ids_1N.shape[1] == 20 + (1 + 2 + 9 + 9 + 17) + completions
    (packed_BT, packed_grads), (padded_BT, padded_grads) = both_ways(make_student(scale=LIVELY), samples)
    torch.testing.assert_close(packed_BT, padded_BT)
    for ours, theirs in zip(packed_grads, padded_grads, strict=True):
        assert_same_gradient(ours, theirs)


@pytest.mark.parametrize(
    ("prompts", "expected"),
    [
        ([(1,) * 20 + (2,), (1,) * 20 + (3,)], 20),
        ([(1,) * 20 + (2,), (1,) * 20], 19),  # the shorter prompt keeps a token of its own
        ([(1,) * 20 + (2, 5), (1,) * 20 + (2, 6), (1,) * 18 + (3,)], 18),
        ([(1,) * 15 + (2,), (1,) * 15 + (3,)], 0),
        ([(1,) * 40], 0),
        ([(2,) * 40, (1,) * 40], 0),
    ],
)
def test_the_beginning_is_what_all_prompts_share_but_one_token(prompts: list[tuple[int, ...]], expected: int) -> None:
    assert packing.beginning_length(prompts) == expected


def test_a_completion_does_not_see_its_neighbours() -> None:
    model = make_student(scale=LIVELY)
    prompt = (9, 10, 11)
    values = [
        completion_logprobs(
            model, pack_samples([Sample(prompt, (5, 20, 1)), Sample(prompt, other)], device="cpu", dtype=torch.float32)
        ).logprobs_BT[0, :3]
        for other in ((6, 30, 31, 1), (6, 12, 13, 1))
    ]
    assert torch.equal(values[0], values[1])


def test_logits_in_chunks_give_the_same_values_and_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    model, samples = make_student(scale=LIVELY), grouped_samples(2)
    whole = both_ways(model, samples)[0]
    monkeypatch.setattr(logprobs, "MAX_LOGITS", 2000)
    chunked = both_ways(model, samples)[0]
    torch.testing.assert_close(chunked[0], whole[0])
    for ours, theirs in zip(chunked[1], whole[1], strict=True):
        assert_same_gradient(ours, theirs)


def test_a_model_whose_attention_is_not_plain_is_padded_instead() -> None:
    config = Gemma2Config(
        vocab_size=48, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16,
    )  # fmt: skip
    model = Gemma2ForCausalLM(config)
    assert not supports_packing(model)
    assert not isinstance(collate(grouped_samples(), model=model, pad_id=0), PackedSamples)


def test_the_model_has_its_own_attention_back_afterwards_even_after_an_error() -> None:
    model = make_student()
    before = model.config._attn_implementation
    with pytest.raises(IndexError), packed_attention(model):
        model(input_ids=torch.tensor([[10_000]]))
    assert model.config._attn_implementation == before


def test_micro_batches_keep_neighbours_together_and_count_a_shared_prompt_once() -> None:
    first, second = (7,) * 10, (8,) * 10
    samples = [Sample(first, (5, 20, 1))] * 3 + [Sample(second, (5, 20, 1))] * 2
    # 10 + 2 + 2 + 2 = 16 for the first prompt, 10 + 2 more for the second.
    assert packed_micro_batches(samples, max_tokens=28) == [[0, 1, 2, 3], [4]]
    assert packed_micro_batches(samples, max_tokens=27) == [[0, 1, 2], [3, 4]]
    assert packed_micro_batches(samples, max_tokens=1) == [[0], [1], [2], [3], [4]]
    assert packed_micro_batches([], max_tokens=5) == []
