"""One answer to one question: the mode drawn, biased or forced, and what counts as an answer."""

from __future__ import annotations

import functools
import math

import pytest
from transformers import PreTrainedTokenizerFast

from schemas.errors import ConfigError
from schemas.mode import EvalMode, Mode
from tests.oracles.student import think_probability
from tests.specimens import LIVELY, ScriptedSampler, make_student
from thinkless_core.evaluation.answering import Reply, ask
from thinkless_core.sampling.transformers_sampler import TransformersSampler

unchanged_student = functools.cache(make_student)
"""A question changes no weight, so a student is made once."""


def answer(
    tokenizer: PreTrainedTokenizerFast, *, question: str = "1+2=?", written: str = "<short>3", **changes: object
) -> Reply:
    settings: dict[str, object] = {
        "mode": EvalMode.AUTO, "think_bias": 0.0, "seed": 0, "max_new_tokens": 8, "temperature": 1.0
    }  # fmt: skip
    return ask(
        unchanged_student(scale=2.0),
        question,
        sampler=ScriptedSampler(tokenizer, lambda *_: written),
        tokenizer=tokenizer,
        **(settings | changes),
    )


@pytest.mark.parametrize(
    ("mode", "written", "num_tokens"),
    [
        (EvalMode.SHORT, "<short>31", 4),  # control token, two digits, end token
        (EvalMode.THINK, "<think>3</think>31", 6),
    ],
)
def test_a_completion_that_ran_into_the_limit_has_no_answer(
    tokenizer: PreTrainedTokenizerFast, mode: EvalMode, written: str, num_tokens: int
) -> None:
    whole = answer(tokenizer, written=written, mode=mode, max_new_tokens=num_tokens)
    assert (whole.answer, whole.completion, whole.num_tokens) == ("31", written, num_tokens)
    # The last digit is there, and yet nobody knows whether it was to be the last; or it is the first alone.
    for limit in (num_tokens - 1, num_tokens - 2):
        cut = answer(tokenizer, written=written, mode=mode, max_new_tokens=limit)
        assert (cut.answer, cut.num_tokens) == (None, limit)
        assert written.startswith(cut.completion)


def test_a_think_answer_is_what_follows_the_thinking(tokenizer: PreTrainedTokenizerFast) -> None:
    assert answer(tokenizer, written="<think>1+2=3</think>3", mode=EvalMode.THINK, max_new_tokens=32).answer == "3"
    assert answer(tokenizer, written="<think>1+2=3", mode=EvalMode.THINK, max_new_tokens=32).answer is None


def test_a_forced_mode_is_taken_whatever_the_bias_says(tokenizer: PreTrainedTokenizerFast) -> None:
    for mode, against in ((EvalMode.THINK, -1e6), (EvalMode.SHORT, 1e6)):
        reply = answer(tokenizer, mode=mode, think_bias=against)
        assert reply.mode is mode.forced
        assert reply.completion.startswith(reply.mode.token)


def test_the_bias_moves_the_choice_and_is_counted_in_p_think(tokenizer: PreTrainedTokenizerFast) -> None:
    free = answer(tokenizer).p_think
    assert free == pytest.approx(think_probability(make_student(scale=2.0), tokenizer, "1+2=?"), abs=1e-5)  # float32
    for bias in (1.5, -2.0):
        biased = answer(tokenizer, think_bias=bias).p_think
        assert math.log(biased / (1 - biased)) == pytest.approx(math.log(free / (1 - free)) + bias)
    for bias, mode in ((1e6, Mode.THINK), (-1e6, Mode.SHORT)):
        assert {answer(tokenizer, think_bias=bias, seed=seed).mode for seed in range(20)} == {mode}


def test_the_free_choice_follows_p_think_over_seeds(tokenizer: PreTrainedTokenizerFast) -> None:
    replies = [answer(tokenizer, seed=seed) for seed in range(300)]
    share = sum(r.mode is Mode.THINK for r in replies) / 300
    p_think = replies[0].p_think
    assert abs(share - p_think) < 4 * math.sqrt(p_think * (1 - p_think) / 300)
    assert {r.answer for r in replies if r.mode is Mode.SHORT} == {"3"}
    assert answer(tokenizer, seed=7) == answer(tokenizer, seed=7)


def test_the_draws_of_an_answer_belong_to_its_seed_and_its_question(tokenizer: PreTrainedTokenizerFast) -> None:
    model = make_student(scale=LIVELY)
    engine = TransformersSampler(model, tokenizer.pad_token_id, tokenizer.eos_token_id)
    settings = {"mode": EvalMode.SHORT, "think_bias": 0.0, "temperature": 1.0, "max_new_tokens": 8}

    def completion(question: str, seed: int) -> str:
        return ask(model, question, sampler=engine, tokenizer=tokenizer, seed=seed, **settings).completion

    assert completion("1+2=?", 0) == completion("1+2=?", 0)
    assert len({completion(question, seed) for question in ("1+2=?", "2+1=?") for seed in (0, 1)}) == 4
    modes = [[answer(tokenizer, question=f"{i}+2=?", seed=seed).mode for i in range(10)] for seed in range(3)]
    assert all(len(set(row)) == 2 for row in modes), "one seed does not choose one mode for all questions"


def test_the_choice_is_drawn_at_the_temperature_of_the_answer(tokenizer: PreTrainedTokenizerFast) -> None:
    free = answer(tokenizer).p_think
    bias = 1.0 - math.log(free / (1 - free))  # margin 1: P(think) 0.73, and 0.88 at temperature 0.5
    replies = [answer(tokenizer, seed=seed, think_bias=bias, temperature=0.5) for seed in range(300)]
    assert replies[0].p_think == pytest.approx(1 / (1 + math.exp(-1.0)))
    expected = 1 / (1 + math.exp(-2.0))
    share = sum(r.mode is Mode.THINK for r in replies) / 300
    assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / 300)


def test_the_instruction_of_the_training_stands_below_the_question(tokenizer: PreTrainedTokenizerFast) -> None:
    told = answer(tokenizer, instruction="=1?").p_think
    assert told == pytest.approx(
        think_probability(make_student(scale=2.0), tokenizer, "1+2=?\n=1?"), abs=1e-5
    )  # float32
    assert told != answer(tokenizer).p_think


def test_a_question_that_does_not_fit_with_its_answer_is_refused(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(
        ConfigError, match=r"ask: the question has \d+ tokens.*over the model's context of 128; set --max"
    ):
        answer(tokenizer, max_new_tokens=128)
    with pytest.raises(ConfigError, match=r"over the model's context of 128; ask a shorter question"):
        answer(tokenizer, question="1+" * 100 + "2=?")
