"""Evaluation and P(think)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from pydantic import ValidationError
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from schemas.configs.evaluate import EvaluateConfig
from schemas.errors import EvaluationError
from schemas.mode import EvalMode, Mode
from schemas.records.eval_completions import EvalCompletion
from schemas.records.problems import Problem
from tests.invariants import rollout_checks
from tests.oracles import statistics as oracle
from tests.oracles.student import think_probability
from tests.specimens import LIVELY, ScriptedSampler, make_problem, make_problems, make_student, spelt_out
from thinkless_core.evaluation import evaluate_problems as evaluation
from thinkless_core.evaluation.evaluate_problems import evaluate_problems
from thinkless_core.sampling.sampler import Sampler, SampleRequest
from thinkless_core.sampling.think_probability import think_probabilities
from thinkless_core.sampling.transformers_sampler import TransformersSampler
from thinkless_core.seeding import random_stream
from thinkless_core.statistics.routers import score_routers
from thinkless_core.statistics.summary import clustered_stderr, summarise_cell
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.student.rendering import decode_completion, render_prompt

SETTINGS = EvaluateConfig(max_new_tokens=12, short_max_tokens=4, num_samples=2)
QUESTIONS = ("1+2=?", "37+48*12=?", "9", "11-19*23+45=?")


def sampler_of(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, *, batch_size: int = 256) -> Sampler:
    """The real sampler."""
    return TransformersSampler(model, tokenizer.pad_token_id, tokenizer.eos_token_id, batch_size=batch_size)


def evaluated(
    tokenizer: PreTrainedTokenizerFast,
    problems: Sequence[Problem],
    *,
    sampler: Sampler,
    model: PreTrainedModel | None = None,
    model_name: str = "m",
    config: EvaluateConfig = SETTINGS,
) -> list[EvalCompletion]:
    """All modes on benchmark `b`."""
    return evaluate_problems(
        model or make_student(),
        problems,
        sampler=sampler,
        tokenizer=tokenizer,
        model_name=model_name,
        benchmark="b",
        config=config,
    )


def test_truncated_or_malformed_is_wrong_and_summaries_are_means() -> None:
    rollout_checks.evaluation_is_strict(evaluation)


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
    with pytest.raises(EvaluationError, match="benchmark 'b' has no problems"):
        evaluated(tokenizer, [], sampler=ScriptedSampler(tokenizer, lambda *_: "<short>1"))
    with pytest.raises(EvaluationError, match="no completions"):
        summarise_cell([])


def test_all_samples_have_identities_and_all_modes_and_models_share_their_streams(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    streams: dict[str, list[object]] = {"base": [], "rl": []}
    ids = []
    for name in streams:
        script = ScriptedSampler(tokenizer, lambda _, request, name=name: streams[name].append(request) or "<short>1")
        rows = evaluated(
            tokenizer,
            make_problems(5),
            sampler=script,
            model_name=name,
            config=SETTINGS.model_copy(update={"num_samples": 3}),
        )
        assert [row.mode for row in rows] == [mode for mode in EvalMode for _ in range(15)]
        ids += [row.completion_id for row in rows]
    assert len(set(ids)) == 90
    assert streams["base"] == streams["rl"]
    assert len({request.stream for request in streams["base"]}) == 15  # type: ignore[attr-defined]


def test_what_is_evaluated_does_not_depend_on_the_batch_size(tokenizer: PreTrainedTokenizerFast) -> None:
    model = make_student(scale=LIVELY)
    runs = [
        evaluated(
            tokenizer,
            make_problems(12),
            model=model,
            sampler=sampler_of(model, tokenizer, batch_size=size),
            config=SETTINGS.model_copy(update={"batch_size": size}),
        )
        for size in (5, 256)
    ]
    for small, large in zip(*runs, strict=True):
        # P(think) is a float32 number, and another batch rounds it otherwise.
        assert small.p_think == pytest.approx(large.p_think, abs=1e-5)
        assert small.model_copy(update={"p_think": 0.0}) == large.model_copy(update={"p_think": 0.0})


def test_each_mode_says_what_the_sampler_says_when_asked_for_that_mode_alone(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    control = ControlTokens.of(tokenizer)
    # Raised so that both modes are chosen, answers end, and some completions are malformed all the same.
    bias = {control.short_id: 4.0, control.think_id: 4.0, tokenizer.eos_token_id: 3.0}
    model = make_student(scale=LIVELY, bias=bias)
    problems = make_problems(24)
    sampler = sampler_of(model, tokenizer, batch_size=16)
    rows = evaluated(tokenizer, problems, model=model, sampler=sampler)
    assert {row.chosen_mode for row in rows if row.mode is EvalMode.AUTO} == {Mode.SHORT, Mode.THINK, None}
    for mode in EvalMode:
        requests = [
            SampleRequest(
                render_prompt(tokenizer, problem.prompt),
                stream=("evaluate", SETTINGS.seed, problem.problem_id, sample),
                forced_id=None if mode.forced is None else control.id_of(mode.forced),
            )
            for problem in problems
            for sample in range(2)
        ]
        alone = sampler.sample(requests, max_new_tokens=12, temperature=SETTINGS.temperature, top_p=SETTINGS.top_p)
        expected = [(decode_completion(tokenizer, c.token_ids), len(c.token_ids)) for c in alone]
        assert [(row.completion, row.num_tokens) for row in rows if row.mode is mode] == expected


def test_routers_without_a_choice_of_their_own_are_the_modes_and_auto_is_the_forced_rows_it_chose(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    control = ControlTokens.of(tokenizer)
    # Raised so far that token 0 is always one of both.
    bias = {control.short_id: 12.0, control.think_id: 12.0, tokenizer.eos_token_id: 3.0}
    model = make_student(scale=LIVELY, bias=bias)
    rows = evaluated(tokenizer, make_problems(24), model=model, sampler=sampler_of(model, tokenizer))
    cells = {mode: [c for c in rows if c.mode is mode] for mode in EvalMode}
    scores = {score.router: score for score in score_routers(rows, threshold=0.5)}
    for mode, cell in cells.items():
        summary = summarise_cell(cell)
        for name in ("accuracy", "accuracy_stderr", "think_share", "mean_tokens"):
            assert getattr(scores[mode.value], name) == pytest.approx(getattr(summary, name)), (mode, name)
    assert 0 < scores["auto"].think_share < 1
    forced = {(c.mode.value, c.problem_id, c.sample): c for c in rows}
    for free in cells[EvalMode.AUTO]:
        row = forced[str(free.chosen_mode), free.problem_id, free.sample]
        assert free == row.model_copy(update={"mode": EvalMode.AUTO, "completion_id": free.completion_id})


def test_the_lenient_verdict_stands_beside_the_strict_one(tokenizer: PreTrainedTokenizerFast) -> None:
    texts: dict[str, str | tuple[int, ...]] = {
        "11+22=?": "<short>3",
        "11+33=?": "<short>9",  # wrong for both: 1+3=4
        "11+44=?": spelt_out(tokenizer, "<short>5"),  # malformed, yet its number is right
        "11+55=?": "<think>1+5=6,5=5</think>6",  # 13 tokens, cut before the end token, the number is there
    }
    rows = evaluated(
        tokenizer,
        [make_problem(text) for text in texts],
        sampler=ScriptedSampler(tokenizer, lambda prompt, _: texts[prompt]),
        config=EvaluateConfig(max_new_tokens=12, short_max_tokens=6),
    )
    auto = [row for row in rows if row.mode is EvalMode.AUTO]
    assert [c.correct for c in auto] == [True, False, False, False]
    assert [c.correct_paper for c in auto] == [True, False, True, True]
    summary = summarise_cell(auto)
    assert (summary.accuracy, summary.accuracy_paper) == (0.25, 0.75)


def test_models_are_evaluated_in_the_order_of_the_pipeline_each_once() -> None:
    settings = {"max_new_tokens": 8, "short_max_tokens": 4}
    assert EvaluateConfig(**settings).models == ("base", "sft", "rl")
    assert EvaluateConfig(models=["rl", "base"], **settings) == EvaluateConfig(models=["base", "rl"], **settings)
    for models, message in (
        (["rl", "rl"], "each model once"),
        ([], "at least 1 item"),
        (["policy"], "'base', 'sft' or 'rl'"),
    ):
        with pytest.raises(ValidationError, match=message):
            EvaluateConfig(models=models, **settings)


# P(think)


@pytest.mark.parametrize("batch_size", [1, 3, 256])
def test_p_think_is_the_share_of_think_among_both_control_tokens(
    tokenizer: PreTrainedTokenizerFast, batch_size: int
) -> None:
    model = make_student(scale=2.0)
    expected = [think_probability(model, tokenizer, q) for q in QUESTIONS]
    model.train()
    actual = think_probabilities(model, QUESTIONS, tokenizer=tokenizer, batch_size=batch_size)
    assert actual == pytest.approx(expected, abs=1e-5)  # float32
    assert max(actual) - min(actual) > 0.01, "the probabilities are too alike to test anything"
    assert model.training
