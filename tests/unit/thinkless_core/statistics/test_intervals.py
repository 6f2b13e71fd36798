"""Intervals: against slow loops, known quantiles, and how often they hold what they should."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from schemas.errors import EvaluationError
from schemas.mode import EvalMode
from tests.unit.thinkless_core.grading.graded import graded, random_evaluation
from thinkless_core.seeding import random_stream
from thinkless_core.statistics import intervals as bootstrap
from thinkless_core.statistics.intervals import (
    bootstrap_mean,
    interval_over_seeds,
    paired_difference,
    score_tokens,
    student_quantile,
)


def slow_bootstrap(values: list[float], *, seed: int, num_resamples: int) -> tuple[float, float]:
    """95% percentile interval of the mean in loops; the quantile lies between the two sorted means next to it."""
    stream = random_stream("bootstrap", seed)
    means = []
    for _ in range(num_resamples):
        total = 0.0
        for index in stream.integers(len(values), size=len(values)):
            total += values[index]
        means.append(total / len(values))
    means.sort()
    ends = []
    for share in (0.025, 0.975):
        place = share * (num_resamples - 1)
        below = int(place)
        ends.append(means[below] + (place - below) * (means[min(below + 1, num_resamples - 1)] - means[below]))
    return ends[0], ends[1]


@pytest.mark.parametrize("num_values", [1, 2, 37])
def test_the_bootstrap_equals_the_slow_loop_however_it_is_cut(num_values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = random_stream("values", num_values).normal(size=num_values).tolist()
    low, high = slow_bootstrap(values, seed=3, num_resamples=301)
    for at_once in (1, 100, 10**9):
        monkeypatch.setattr(bootstrap, "RESAMPLED_AT_ONCE", at_once)
        interval = bootstrap_mean(values, seed=3, num_resamples=301)
        assert interval == pytest.approx((statistics.fmean(values), low, high))


def test_the_same_seed_gives_the_same_interval_and_another_one_nearly_so() -> None:
    values = random_stream("values", 0).normal(size=200)
    first, again, other = (bootstrap_mean(values, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.low != other.low
    width = first.high - first.low
    # Ends are quantiles of 4000 means: their own deviation is about 0.02 of the width.
    assert (first.low, first.high) == pytest.approx((other.low, other.high), abs=0.1 * width)


def test_a_difference_is_taken_problem_by_problem() -> None:
    # Forced think takes 7 tokens more than short on every problem, however different the problems are.
    left = [graded(f"p{i}", EvalMode.THINK, correct=True, num_tokens=7 + i**2) for i in range(9)]
    right = [graded(f"p{i}", EvalMode.SHORT, correct=i < 3, num_tokens=i**2) for i in reversed(range(9))]
    assert paired_difference(left, right, score=score_tokens, seed=0) == (7.0, 7.0, 7.0)
    accuracy = paired_difference(left, right, seed=0)
    assert accuracy.estimate == pytest.approx(6 / 9)
    assert 0 < accuracy.low < 6 / 9 < accuracy.high <= 1
    # Turned round: the same with the other sign, as the same problems are drawn.
    assert paired_difference(right, left, seed=0) == pytest.approx((-6 / 9, -accuracy.high, -accuracy.low))


def test_samples_of_a_problem_are_averaged_before_problems_are_drawn() -> None:
    rows = random_evaluation(12, num_samples=4)
    auto, think = ([row for row in rows if row.mode is mode] for mode in (EvalMode.AUTO, EvalMode.THINK))
    differences = []
    for problem in sorted({row.problem_id for row in rows}):
        means = [statistics.fmean(r.correct for r in cell if r.problem_id == problem) for cell in (auto, think)]
        differences.append(means[0] - means[1])
    low, high = slow_bootstrap(differences, seed=5, num_resamples=500)
    measured = paired_difference(auto, think, seed=5, num_resamples=500)
    assert measured == pytest.approx((statistics.fmean(differences), low, high))


def test_cells_of_other_problems_are_refused() -> None:
    left = [graded(name, EvalMode.AUTO, correct=True, num_tokens=3) for name in "ab"]
    with pytest.raises(EvaluationError, match=r"cells of 2 and 1 problems cannot be paired.*only one: b"):
        paired_difference(left, left[:1], seed=0)
    with pytest.raises(EvaluationError, match="both are empty"):
        paired_difference([], [], seed=0)


@pytest.mark.parametrize(
    ("degrees", "confidence", "quantile"),
    [  # printed tables of Student's t, two-sided
        (1, 0.95, 12.7062),
        (2, 0.95, 4.3027),
        (3, 0.95, 3.1824),
        (4, 0.95, 2.7764),
        (9, 0.95, 2.2622),
        (30, 0.95, 2.0423),
        (4, 0.99, 4.6041),
        (5, 0.8, 1.4759),
    ],
)
def test_quantiles_are_those_of_the_tables(degrees: int, confidence: float, quantile: float) -> None:
    assert student_quantile(degrees, confidence=confidence) == pytest.approx(quantile, abs=5e-5)  # as printed


def test_with_many_degrees_of_freedom_the_quantile_is_the_normal_one() -> None:
    # t exceeds z by about (z^3 + z) / (4 n): 2.4e-4 at n = 10 000.
    normal = statistics.NormalDist().inv_cdf(0.975)
    assert student_quantile(10_000, confidence=0.95) == pytest.approx(normal, abs=3e-4)


def test_an_interval_over_seeds_is_the_mean_and_t_standard_errors() -> None:
    # 1, 2, 3, 4, 5: mean 3, deviation sqrt(2.5), standard error sqrt(0.5), t of 4 degrees 2.776445.
    interval = interval_over_seeds([1, 2, 3, 4, 5])
    margin = 2.7764451 * math.sqrt(0.5)
    assert interval == pytest.approx((3.0, 3.0 - margin, 3.0 + margin))
    assert interval_over_seeds([0.4]) == (0.4, -math.inf, math.inf)
    assert interval_over_seeds([0.5, 0.5, 0.5]) == (0.5, 0.5, 0.5)


def test_95_of_100_intervals_hold_the_truth_for_five_seeds_and_for_many_problems() -> None:
    stream = random_stream("coverage", 0)
    held = [low <= 0.3 <= high for _, low, high in map(interval_over_seeds, stream.normal(0.3, 2.0, size=(2000, 5)))]
    # 2000 trials at 0.95 have a deviation of 0.005: four of them either way.
    assert 0.93 < np.mean(held) < 0.97
    many = [bootstrap_mean(row, seed=i, num_resamples=400) for i, row in enumerate(stream.random((600, 80)) < 0.3)]
    # A percentile interval of 80 coin throws holds less than it says, near 0.93; 600 trials deviate by 0.01.
    assert 0.89 < np.mean([low <= 0.3 <= high for _, low, high in many]) < 0.98


def test_no_values_or_values_that_are_no_numbers_have_no_interval() -> None:
    for values in ([], [0.5, math.nan], [math.inf]):
        for interval in (interval_over_seeds, lambda v: bootstrap_mean(v, seed=0)):
            with pytest.raises(EvaluationError, match=f"no interval for {len(values)} values"):
                interval(values)
