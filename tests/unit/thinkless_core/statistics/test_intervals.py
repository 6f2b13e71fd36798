"""Intervals over seeds: against known quantiles, and how often they hold what they should."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from schemas.errors import EvaluationError
from thinkless_core.seeding import random_stream
from thinkless_core.statistics.intervals import interval_over_seeds, student_quantile, wilson_interval


@pytest.mark.parametrize(
    ("degrees", "confidence", "quantile"),
    [  # printed tables of Student's t, two-sided
        (1, 0.95, 12.7062),
        (2, 0.95, 4.3027),
        (3, 0.95, 3.1824),
        (4, 0.95, 2.7764),
        (9, 0.95, 2.2622),
        (30, 0.95, 2.0423),
        (31, 0.95, 2.0395),
        (40, 0.95, 2.0211),
        (120, 0.95, 1.9799),
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


def test_95_of_100_intervals_of_five_seeds_hold_the_truth() -> None:
    stream = random_stream("coverage", 0)
    held = [low <= 0.3 <= high for _, low, high in map(interval_over_seeds, stream.normal(0.3, 2.0, size=(2000, 5)))]
    # 2000 trials at 0.95 have a deviation of 0.005: four of them either way.
    assert 0.93 < np.mean(held) < 0.97


def test_wilsons_interval_has_a_width_at_its_bounds_and_mirrors() -> None:
    # z^2 = 3.8415: at 0 of 10 it ends at 3.8415 / 13.8415.
    assert wilson_interval(0.0, 10) == pytest.approx((0.0, 0.0, 0.27753), abs=1e-5)
    assert wilson_interval(1.0, 10) == pytest.approx((1.0, 0.72247, 1.0), abs=1e-5)
    # Half of 10: (0.5 + 0.19207) / 1.38415 = 0.5, and 1.95996 * sqrt(0.025 + 0.0096037) / 1.38415 = 0.26341.
    assert wilson_interval(0.5, 10) == pytest.approx((0.5, 0.23659, 0.76341), abs=1e-5)


def test_no_values_or_values_that_are_no_numbers_have_no_interval() -> None:
    for values in ([], [0.5, math.nan], [math.inf]):
        with pytest.raises(EvaluationError, match=f"no interval for {len(values)} values"):
            interval_over_seeds(values)
