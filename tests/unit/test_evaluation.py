"""Evaluation, P(think) and single answers."""

from __future__ import annotations

import math

import pytest
from transformers import PreTrainedTokenizerFast

from schemas.configs.evaluate import EvaluateConfig
from schemas.errors import EvaluationError
from schemas.mode import EvalMode, Mode
from tests.invariants import method_checks
from tests.oracles import statistics as oracle
from tests.oracles.student import next_token_logprobs
from tests.specimens import LIVELY, ScriptedSampler, make_problems, make_student
from thinkless_core import evaluation
from thinkless_core.answering import Reply, ask
from thinkless_core.control_tokens import ControlTokens
from thinkless_core.evaluation import clustered_stderr, evaluate_cell, summarise_cell
from thinkless_core.rendering import render_prompt
from thinkless_core.seeding import random_stream
from thinkless_core.think_probability import think_probabilities
from thinkless_core.transformers_sampler import TransformersSampler

QUESTIONS = ("1+2=?", "37+48*12=?", "9", "11-19*23+45=?")


def test_truncated_or_malformed_is_wrong_and_summaries_are_means() -> None:
    method_checks.evaluation_is_strict(evaluation)


def test_the_standard_error_equals_the_oracle_for_ragged_clusters() -> None:
    for seed in range(10):
        stream = random_stream("clusters", seed)
        scores = [(f"p{stream.integers(6)}", float(stream.integers(2))) for _ in range(40)]
        assert clustered_stderr(scores) == pytest.approx(oracle.clustered_stderr(scores))


def test_with_one_sample_each_the_standard_error_is_the_ordinary_one() -> None:
    # 1, 0, 0, 1, 1: mean 0.6, sample variance 0.3, so sqrt(0.3 / 5).
    scores = [(str(i), x) for i, x in enumerate((1.0, 0.0, 0.0, 1.0, 1.0))]
    assert clustered_stderr(scores) == pytest.approx(math.sqrt(0.3 / 5))


def test_copies_of_a_sample_do_not_shrink_the_standard_error() -> None:
    scores = [(str(i), x) for i, x in enumerate((1.0, 0.0, 0.0, 1.0, 1.0))]
    assert clustered_stderr(scores * 8) == pytest.approx(clustered_stderr(scores))
    assert clustered_stderr([("one", 1.0), ("one", 0.0)]) == 0.0


def test_an_evaluation_of_nothing_is_an_error(tokenizer: PreTrainedTokenizerFast) -> None:
    config = EvaluateConfig(max_new_tokens=8, short_max_tokens=4)
    with pytest.raises(EvaluationError, match="benchmark 'b' has no problems"):
        evaluate_cell(
            make_student(),
            [],
            sampler=ScriptedSampler(tokenizer, lambda *_: "<short>1"),
            tokenizer=tokenizer,
            model_name="base",
            benchmark="b",
            mode=EvalMode.AUTO,
            config=config,
        )
    with pytest.raises(EvaluationError, match="no completions"):
        summarise_cell([])


def test_all_samples_have_identities_and_models_share_their_streams(tokenizer: PreTrainedTokenizerFast) -> None:
    streams = []

    def remember(prompt: str, request: object) -> str:
        streams.append(request.stream)  # type: ignore[attr-defined]
        return "<short>1"

    problems = make_problems(5)
    ids = []
    for name, mode in (("base", EvalMode.AUTO), ("rl", EvalMode.AUTO), ("rl", EvalMode.THINK)):
        cell = evaluate_cell(
            make_student(),
            problems,
            sampler=ScriptedSampler(tokenizer, remember),
            tokenizer=tokenizer,
            model_name=name,
            benchmark="b",
            mode=mode,
            config=EvaluateConfig(max_new_tokens=8, short_max_tokens=4, num_samples=3),
        )
        assert summarise_cell(cell).n == 15
        ids += [c.completion_id for c in cell]
    assert len(set(ids)) == 45
    assert streams[:15] == streams[15:30] == streams[30:]
    assert len(set(streams)) == 15


def test_what_is_evaluated_does_not_depend_on_the_batch_size(tokenizer: PreTrainedTokenizerFast) -> None:
    model = make_student(scale=LIVELY)
    cells = [
        evaluate_cell(
            model,
            make_problems(12),
            sampler=TransformersSampler(model, tokenizer.pad_token_id, tokenizer.eos_token_id, batch_size=size),
            tokenizer=tokenizer,
            model_name="m",
            benchmark="b",
            mode=EvalMode.AUTO,
            config=EvaluateConfig(max_new_tokens=8, short_max_tokens=4, num_samples=2, batch_size=size),
        )
        for size in (5, 256)
    ]
    for small, large in zip(*cells, strict=True):
        # P(think) is a float32 number, and another batch rounds it otherwise.
        assert small.p_think == pytest.approx(large.p_think, abs=1e-5)
        assert small.model_copy(update={"p_think": 0.0}) == large.model_copy(update={"p_think": 0.0})


# P(think)


def expected_think_probability(tokenizer: PreTrainedTokenizerFast, question: str) -> float:
    logprobs_V = next_token_logprobs(make_student(scale=2.0), render_prompt(tokenizer, question))
    control = ControlTokens.of(tokenizer)
    think, short = (float(logprobs_V[i].exp()) for i in (control.think_id, control.short_id))
    return think / (think + short)


@pytest.mark.parametrize("batch_size", [1, 3, 256])
def test_p_think_is_the_share_of_think_among_both_control_tokens(
    tokenizer: PreTrainedTokenizerFast, batch_size: int
) -> None:
    model = make_student(scale=2.0).train()
    actual = think_probabilities(model, QUESTIONS, tokenizer=tokenizer, batch_size=batch_size)
    assert actual == pytest.approx([expected_think_probability(tokenizer, q) for q in QUESTIONS], abs=1e-5)  # float32
    assert max(actual) - min(actual) > 0.01, "the probabilities are too alike to test anything"
    assert model.training


# One answer


def answer(tokenizer: PreTrainedTokenizerFast, *, question: str = "1+2=?", **changes: object) -> Reply:
    settings: dict[str, object] = {"mode": EvalMode.AUTO, "think_bias": 0.0, "seed": 0}
    return ask(
        make_student(scale=2.0),
        question,
        sampler=ScriptedSampler(tokenizer, lambda *_: "<short>3"),
        tokenizer=tokenizer,
        temperature=1.0,
        max_new_tokens=8,
        **(settings | changes),
    )


def test_a_forced_mode_is_taken_whatever_the_bias_says(tokenizer: PreTrainedTokenizerFast) -> None:
    assert answer(tokenizer, mode=EvalMode.THINK, think_bias=-1e6).mode is Mode.THINK
    assert answer(tokenizer, mode=EvalMode.SHORT, think_bias=1e6).mode is Mode.SHORT


def test_the_bias_moves_the_choice_and_is_counted_in_p_think(tokenizer: PreTrainedTokenizerFast) -> None:
    free = answer(tokenizer).p_think
    assert free == pytest.approx(expected_think_probability(tokenizer, "1+2=?"), abs=1e-5)  # float32
    biased = answer(tokenizer, think_bias=1.5).p_think
    assert math.log(biased / (1 - biased)) == pytest.approx(math.log(free / (1 - free)) + 1.5)
    for bias, mode in ((1e6, Mode.THINK), (-1e6, Mode.SHORT)):
        assert {answer(tokenizer, think_bias=bias, seed=seed).mode for seed in range(20)} == {mode}


def test_the_free_choice_follows_p_think_over_seeds(tokenizer: PreTrainedTokenizerFast) -> None:
    replies = [answer(tokenizer, seed=seed) for seed in range(300)]
    share = sum(r.mode is Mode.THINK for r in replies) / 300
    p_think = replies[0].p_think
    assert abs(share - p_think) < 4 * math.sqrt(p_think * (1 - p_think) / 300)
    assert {r.answer for r in replies if r.mode is Mode.SHORT} == {"3"}
    assert answer(tokenizer, seed=7) == answer(tokenizer, seed=7)
