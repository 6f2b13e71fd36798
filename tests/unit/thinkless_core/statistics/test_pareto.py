"""The accuracy-token curve: shifted probabilities, its ends, its area, and the point for a budget."""

from __future__ import annotations

import bisect
import math

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from schemas.errors import EvaluationError
from schemas.mode import EvalMode
from schemas.records.eval_pareto import ParetoPoint
from tests.specimens import ScriptedSampler, make_student
from tests.unit.thinkless_core.grading.graded import Outcome, evaluated, random_evaluation
from thinkless_core.evaluation.answering import ask
from thinkless_core.sampling.think_probability import think_probabilities
from thinkless_core.seeding import random_stream
from thinkless_core.statistics.pareto import (
    END_BIAS,
    THINK_BIASES,
    area_under_curve,
    biased_think_probabilities,
    pareto_curve,
    point_within,
)
from thinkless_core.statistics.routers import score_routers


def area_of(points: list[ParetoPoint], **budgets: float) -> float:
    return area_under_curve([p.mean_tokens for p in points], [p.accuracy for p in points], **budgets)


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


def test_the_area_of_a_hand_made_curve_is_its_mean_height() -> None:
    tokens, accuracy = [9.0, 3.0, 5.0], [0.6, 0.4, 0.8]
    # 3 to 5: mean 0.6 over 2; 5 to 9: 0.8, as the dearer point is worse: (1.2 + 3.2) / 6
    assert area_under_curve(tokens, accuracy) == pytest.approx(4.4 / 6)
    # 1 to 3 nothing; 9 to 11 still 0.8: (1.2 + 3.2 + 1.6) / 10
    assert area_under_curve(tokens, accuracy, low=1.0, high=11.0) == pytest.approx(0.6)
    # 4 to 6: from 0.6 to 0.8 over 1, then 0.8 over 1: (0.7 + 0.8) / 2
    assert area_under_curve(tokens, accuracy, low=4.0, high=6.0) == pytest.approx(0.75)
    assert area_under_curve(tokens, accuracy, low=0.0, high=2.0) == 0.0
    assert area_under_curve(tokens, accuracy, low=20.0, high=30.0) == pytest.approx(0.8)
    assert area_under_curve(tokens, accuracy, low=4.0, high=4.0) == pytest.approx(0.6)


def test_points_of_equal_cost_count_by_the_best_of_them() -> None:
    assert area_under_curve([3.0, 3.0, 3.0], [0.1, 0.7, 0.4]) == pytest.approx(0.7)
    # from 0.7 at 3 to 0.9 at 5
    assert area_under_curve([3.0, 5.0, 3.0, 5.0], [0.7, 0.9, 0.4, 0.2]) == pytest.approx(0.8)


def test_the_area_equals_a_sum_over_many_small_budgets() -> None:
    for seed in range(6):
        stream = random_stream("area", seed)
        tokens, accuracy = stream.uniform(2, 40, size=7).tolist(), stream.random(7).tolist()
        low, high = sorted(stream.uniform(0, 50, size=2))
        total, num_slices = 0.0, 20_000
        for i in range(num_slices):
            total += slow_best(low + (i + 0.5) / num_slices * (high - low), tokens, accuracy)
        # One slice holds the jump at the cheapest point; bends cost less still.
        expected = pytest.approx(total / num_slices, abs=1 / num_slices)
        assert area_under_curve(tokens, accuracy, low=low, high=high) == expected


def slow_best(budget: float, tokens: list[float], accuracy: list[float]) -> float:
    """A(budget): the best so far on both sides of it, and the line between."""
    points = sorted(zip(tokens, accuracy, strict=True))
    place = bisect.bisect_right([t for t, _ in points], budget)
    if place == 0:
        return 0.0
    before = max(a for _, a in points[:place])
    if place == len(points):
        return before
    after = max(before, points[place][1])
    return before + (after - before) * (budget - points[place - 1][0]) / (points[place][0] - points[place - 1][0])


def test_a_model_that_cannot_tell_problems_apart_has_the_mean_of_its_modes_and_a_router_has_more() -> None:
    outcomes = {f"p{i}": Outcome(short=(i < 6, 3), think=(True, 23), p_think=0.5) for i in range(10)}
    # short 0.6, think 1.0: a straight line
    assert area_of(pareto_curve(evaluated(outcomes))) == pytest.approx(0.8)
    routed = {name: o._replace(p_think=0.001 if o.short[0] else 0.999) for name, o in outcomes.items()}
    # All right at 3 + 0.4 * 20 = 11 tokens already: nearly (0.8 * 8 + 1.0 * 12) / 20 = 0.92
    assert area_of(pareto_curve(evaluated(routed))) == pytest.approx(0.92, abs=0.01)


def test_a_curve_without_points_and_a_range_upside_down_are_refused() -> None:
    with pytest.raises(EvaluationError, match="without points"):
        area_under_curve([], [])
    with pytest.raises(EvaluationError, match="from 9 to 3 tokens, expected low <= high"):
        area_under_curve([3.0], [0.5], low=9.0, high=3.0)


# budget


def test_the_point_for_a_budget_is_the_most_accurate_that_it_pays_for_and_then_the_cheapest() -> None:
    rows = evaluated({f"p{i}": Outcome(short=(i < 6, 3), think=(i < 9, 23), p_think=0.5) for i in range(10)})
    points = pareto_curve(rows)
    affordable = point_within(points, token_budget=13.0)
    # Think share 1/2 costs 3 + 20 / 2 = 13.
    assert (affordable.think_bias, affordable.mean_tokens) == pytest.approx((0.0, 13.0))
    assert point_within(points, token_budget=1e6).accuracy == pytest.approx(0.9)
    equal = [p.model_copy(update={"accuracy": 0.5}) for p in points]
    assert point_within(equal, token_budget=1e6).think_bias == -END_BIAS
    with pytest.raises(EvaluationError, match=r"within 2\.5 tokens a problem; the cheapest of 67 points takes 3"):
        point_within(points, token_budget=2.5)
