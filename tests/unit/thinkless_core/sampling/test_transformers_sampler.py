"""The sampler in process: what it draws, from which distribution, and what never changes it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from schemas.finish_reason import FinishReason
from tests.invariants import rollout_checks
from tests.oracles.statistics import chi_square
from tests.oracles.student import next_token_logprobs, sequence_logprobs
from tests.specimens import LIVELY, make_student
from thinkless_core.sampling import transformers_sampler
from thinkless_core.sampling.sampler import SampleRequest
from thinkless_core.sampling.transformers_sampler import TransformersSampler
from thinkless_core.student.rendering import Sample
from thinkless_core.training.logprobs import completion_logprobs, pad_samples

PROMPT = (3, 9, 28, 10, 36, 38, 4)
NUM_DRAWS = 4000


def test_batch_size_order_company_and_padding_do_not_change_what_is_sampled() -> None:
    rollout_checks.company_does_not_change_what_is_sampled(transformers_sampler)


def test_a_forced_completion_equals_the_free_one_that_chose_the_same_token() -> None:
    rollout_checks.forced_completions_equal_free_ones(transformers_sampler)


def test_nearly_greedy_tokens_are_those_of_plain_forward_passes_while_finished_rows_leave() -> None:
    rollout_checks.sampled_tokens_follow_the_model(transformers_sampler)


def assert_frequencies_match(tokens: Sequence[int], probabilities_V: Tensor) -> None:
    """Chi-square of the counts within 4 standard deviations of its mean; the draws are fixed by their seed."""
    counts = [0] * len(probabilities_V)
    for token in tokens:
        counts[token] += 1
    statistic, freedom = chi_square(counts, (probabilities_V * len(tokens)).tolist())
    assert freedom > 5, "the distribution is too peaked to test"
    assert statistic < freedom + 4 * math.sqrt(2 * freedom), f"chi-square {statistic:.1f} on {freedom} degrees"


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.6])
def test_frequencies_of_the_first_token_match_the_softmax_at_this_temperature(temperature: float) -> None:
    model = make_student(scale=4.0)
    engine = TransformersSampler(model, 0, 1, batch_size=1000)
    requests = [SampleRequest(PROMPT, ("frequencies", i)) for i in range(NUM_DRAWS)]
    sampled = engine.sample(requests, max_new_tokens=1, temperature=temperature)
    expected_V = next_token_logprobs(model, PROMPT, temperature=temperature).exp()
    assert_frequencies_match([c.token_ids[0] for c in sampled], expected_V)


def test_frequencies_of_the_second_token_match_the_softmax_after_the_first() -> None:
    model = make_student(scale=4.0)
    engine = TransformersSampler(model, 0, 1, batch_size=1000)
    requests = [SampleRequest(PROMPT, ("second", i), forced_id=6) for i in range(NUM_DRAWS)]
    sampled = engine.sample(requests, max_new_tokens=2, temperature=1.2)
    expected_V = next_token_logprobs(model, [*PROMPT, 6], temperature=1.2).exp()
    assert_frequencies_match([c.token_ids[1] for c in sampled], expected_V)


def nucleus_of(probabilities_V: Tensor, top_p: float) -> list[int]:
    """The fewest tokens, likeliest first, whose probabilities reach `top_p`."""
    nucleus: list[int] = []
    for token in sorted(range(len(probabilities_V)), key=lambda i: -float(probabilities_V[i])):
        if sum(float(probabilities_V[i]) for i in nucleus) >= top_p:
            break
        nucleus.append(token)
    return nucleus


@pytest.mark.parametrize("top_p", [1e-6, 0.3, 0.8, 0.95])
def test_top_p_never_draws_outside_the_nucleus_and_keeps_proportions_inside(top_p: float) -> None:
    model = make_student(scale=4.0)
    probabilities_V = next_token_logprobs(model, PROMPT).exp()
    nucleus = nucleus_of(probabilities_V, top_p)
    engine = TransformersSampler(model, 0, 1, batch_size=1000)
    requests = [SampleRequest(PROMPT, ("nucleus", i)) for i in range(NUM_DRAWS)]
    tokens = [c.token_ids[0] for c in engine.sample(requests, max_new_tokens=1, temperature=1.0, top_p=top_p)]
    assert set(tokens) <= set(nucleus)
    inside_V = torch.zeros_like(probabilities_V)
    inside_V[nucleus] = probabilities_V[nucleus] / probabilities_V[nucleus].sum()
    if len(nucleus) > 6:
        assert_frequencies_match(tokens, inside_V)


def test_a_draw_at_either_end_of_the_unit_interval_gives_a_token_that_has_probability() -> None:
    # Tokens 0 and 3 have no probability; the nucleus at 0.5 is token 2 alone.
    logits_BV = torch.tensor([[-math.inf, 0.0, 1.0, -math.inf]] * 2)
    draws_B = torch.tensor([0.0, math.nextafter(1.0, 0.0)], dtype=torch.float64)
    draw = transformers_sampler._draw
    assert draw(logits_BV, draws_B, temperature=1.0, top_p=1.0).tolist() == [1, 2]
    assert draw(logits_BV, draws_B, temperature=1.0, top_p=0.5).tolist() == [2, 2]


def test_no_completion_is_longer_than_asked_for_and_each_ends_for_the_reason_given() -> None:
    model = make_student(scale=2.0)
    engine = TransformersSampler(model, 0, 20)
    requests = [SampleRequest((3, 8 + i % 90, 4), ("length", i)) for i in range(200)]
    for limit in (1, 2, 30):
        sampled = engine.sample(requests, max_new_tokens=limit, temperature=1.0)
        for completion in sampled:
            stopped = completion.token_ids[-1] == 20
            assert completion.finish_reason is (FinishReason.STOP if stopped else FinishReason.LENGTH)
            assert len(completion.token_ids) == limit or (stopped and len(completion.token_ids) < limit)
            assert 20 not in completion.token_ids[:-1]
        if limit == 30:
            assert {c.finish_reason for c in sampled} == set(FinishReason)


def test_a_higher_limit_only_adds_tokens() -> None:
    model = make_student(scale=LIVELY)
    engine = TransformersSampler(model, 0, 1)
    requests = [SampleRequest((3, 8 + i, 4), ("limit", i)) for i in range(16)]
    short = engine.sample(requests, max_new_tokens=5, temperature=1.0)
    long = engine.sample(requests, max_new_tokens=15, temperature=1.0)
    assert [c.token_ids for c in short] == [c.token_ids[:5] for c in long]


def test_streams_decide_the_draws_and_differ_between_samples_of_one_prompt() -> None:
    engine = TransformersSampler(make_student(), 0, 1)
    requests = [SampleRequest(PROMPT, ("group", i)) for i in range(20)]
    first = engine.sample(requests, max_new_tokens=6, temperature=1.0)
    assert engine.sample(requests, max_new_tokens=6, temperature=1.0) == first
    assert len({c.token_ids for c in first}) == 20
    torch.manual_seed(1234)
    assert engine.sample(requests, max_new_tokens=6, temperature=1.0) == first


def test_sampling_leaves_the_model_in_the_mode_it_was_in_and_its_gradients_possible() -> None:
    model = make_student().train()
    TransformersSampler(model, 0, 1).sample([SampleRequest(PROMPT, ("x",))], max_new_tokens=3, temperature=1.0)
    assert model.training
    model(input_ids=torch.tensor([PROMPT])).logits.sum().backward()


def test_nothing_asked_gives_nothing() -> None:
    assert TransformersSampler(make_student(), 0, 1).sample([], max_new_tokens=3, temperature=1.0) == []


def test_logprobs_the_trainer_gives_to_sampled_completions_equal_those_of_plain_forward_passes() -> None:
    model, temperature = make_student(scale=LIVELY), 0.8
    engine = TransformersSampler(model, 0, 1)
    requests = [SampleRequest((3, *range(9, 10 + i), 4), ("trainer", i)) for i in range(8)]
    sampled = engine.sample(requests, max_new_tokens=8, temperature=temperature)
    samples = [Sample(r.prompt_ids, c.token_ids) for r, c in zip(requests, sampled, strict=True)]
    values_BT = completion_logprobs(model, pad_samples(samples, pad_id=0), temperature=temperature).logprobs_BT
    for row, sample in zip(values_BT.detach(), samples, strict=True):
        expected = sequence_logprobs(model, sample.prompt_ids, sample.completion_ids, temperature=temperature)
        torch.testing.assert_close(row[: len(expected)], torch.tensor(expected).float())  # as the model computes
