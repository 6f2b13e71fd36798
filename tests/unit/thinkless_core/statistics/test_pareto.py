"""The accuracy-token curve: shifted probabilities, its ends and its area."""

from __future__ import annotations

import math

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from schemas.errors import EvaluationError
from schemas.mode import EvalMode
from schemas.records.eval_pareto import ParetoPoint
from tests.oracles.statistics import area_under_curve
from tests.specimens import ScriptedSampler, make_student
from tests.unit.thinkless_core.grading.graded import Outcome, evaluated, random_evaluation
from thinkless_core.evaluation.answering import ask
from thinkless_core.sampling.think_probability import think_probabilities
from thinkless_core.statistics.pareto import (
    END_BIAS,
    THINK_BIASES,
    biased_think_probabilities,
    pareto_curve,
)
from thinkless_core.statistics.routers import score_routers


def area_of(points: list[ParetoPoint]) -> float:
    return area_under_curve([p.mean_tokens for p in points], [p.accuracy for p in points])


def test_a_bias_is_added_to_the_logit() -> None:
    # odds 1, 1/3, 3 times 3: 3/4, 1/2, 9/10; divided by 3: 1/4, 1/10, 1/2
    p_think_P = np.array([0.5, 0.25, 0.75])
    assert biased_think_probabilities(p_think_P, math.log(3)) == pytest.approx([0.75, 0.5, 0.9])
    assert biased_think_probabilities(p_think_P, -math.log(3)) == pytest.approx([0.25, 0.1, 0.5])
    assert biased_think_probabilities(p_think_P, 0.0) == pytest.approx(p_think_P)


@pytest.mark.filterwarnings("error")
def test_even_a_certain_choice_is_turned_at_the_ends_and_nothing_overflows() -> None:
    certain_P = np.array([0.0, 1e-9, 0.5, 1 - 1e-9, 1.0])
    assert biased_think_probabilities(certain_P, END_BIAS) == pytest.approx(np.ones(5), abs=1e-15)
    assert biased_think_probabilities(certain_P, -END_BIAS) == pytest.approx(np.zeros(5), abs=1e-15)
    assert biased_think_probabilities(certain_P, 1e6).tolist() == [1.0] * 5
    assert biased_think_probabilities(certain_P, -1e6).tolist() == [0.0] * 5
    # A certain choice counts as 1e-12 away from certain.
    assert biased_think_probabilities(certain_P, 0.0) == pytest.approx(np.clip(certain_P, 1e-12, 1 - 1e-12))


@pytest.mark.parametrize("think_bias", [-1e9, -END_BIAS, -2.5, 0.0, 1.0, END_BIAS])
def test_a_bias_does_what_it_does_when_a_question_is_asked(
    tokenizer: PreTrainedTokenizerFast, think_bias: float
) -> None:
    question, model = "1+2=?", make_student(scale=2.0)
    reply = ask(
        model,
        question,
        sampler=ScriptedSampler(tokenizer, lambda *_: "<short>3"),
        tokenizer=tokenizer,
        mode=EvalMode.AUTO,
        think_bias=think_bias,
        temperature=0.6,
        max_new_tokens=8,
        seed=0,
    )
    free_P = np.array(think_probabilities(model, [question], tokenizer=tokenizer))
    assert biased_think_probabilities(free_P, think_bias)[0] == pytest.approx(reply.p_think)


def test_a_point_is_the_expectation_over_the_modes() -> None:
    rows = evaluated(
        {
            "a": Outcome(short=(True, 3), think=(True, 11), p_think=0.5),
            "b": Outcome(short=(False, 3), think=(True, 23), p_think=0.25),
        }
    )
    (point,) = pareto_curve(rows, think_biases=[math.log(3)])
    # P(think) 0.75 and 0.5: accuracy 1 and 0.5, tokens 3 + 0.75 * 8 = 9 and 3 + 0.5 * 20 = 13
    assert (point.think_share, point.accuracy, point.mean_tokens) == pytest.approx((0.625, 0.75, 11.0))
    # two values d apart: sample variance d^2 / 2, over 2: d / 2
    assert (point.accuracy_stderr, point.mean_tokens_stderr) == pytest.approx((0.25, 2.0))
    assert (point.n, point.model, point.benchmark) == (2, "m", "b")


def test_the_ends_of_the_curve_are_both_forced_modes_and_thinking_grows_between_them() -> None:
    rows = random_evaluation(30, num_samples=2)
    points = pareto_curve(rows)
    assert [p.think_bias for p in points] == sorted(THINK_BIASES)
    assert {-END_BIAS, 0.0, END_BIAS} < set(THINK_BIASES)
    routers = {score.router: score for score in score_routers(rows, threshold=0.5)}
    for point, router in ((points[0], routers["short"]), (points[-1], routers["think"])):
        for name in ("accuracy", "accuracy_stderr", "think_share", "mean_tokens", "mean_tokens_stderr", "n"):
            assert getattr(point, name) == pytest.approx(getattr(router, name))
    shares = [p.think_share for p in points]
    assert shares == sorted(shares)
    unbiased = points[THINK_BIASES.index(0.0)]
    assert unbiased.think_share == pytest.approx(np.mean([r.p_think for r in rows if r.mode is EvalMode.SHORT]))


def test_a_curve_of_one_forced_mode_is_refused() -> None:
    with pytest.raises(EvaluationError, match="forced short has 3 and forced think 0"):
        pareto_curve([row for row in random_evaluation(3) if row.mode is not EvalMode.THINK])


# area


def test_a_model_that_cannot_tell_problems_apart_has_the_mean_of_its_modes_and_a_router_has_more() -> None:
    outcomes = {f"p{i}": Outcome(short=(i < 6, 3), think=(True, 23), p_think=0.5) for i in range(10)}
    # short 0.6, think 1.0: a straight line
    assert area_of(pareto_curve(evaluated(outcomes))) == pytest.approx(0.8)
    routed = {name: o._replace(p_think=0.001 if o.short[0] else 0.999) for name, o in outcomes.items()}
    # All right at 3 + 0.4 * 20 = 11 tokens already: nearly (0.8 * 8 + 1.0 * 12) / 20 = 0.92
    assert area_of(pareto_curve(evaluated(routed))) == pytest.approx(0.92, abs=0.01)
