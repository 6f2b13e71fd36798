"""Means and intervals: over problems, and over the seeds of a study.

samples of one problem -> their mean   (the problem is the unit, so its samples are averaged first)
one number per seed -> Student's t -> Interval   (few, independent runs)
a share of problems -> Wilson -> Interval   (also at 0 and 1)

Claims, the report of a study and its pictures all use this module. Shapes: S seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.errors import EvaluationError
from schemas.records.eval_completions import EvalCompletion

Floats = npt.NDArray[np.float64]


class Interval(NamedTuple):
    """An estimate and the ends of its interval."""

    estimate: float
    low: float
    high: float


def score_accuracy(completion: EvalCompletion) -> float:
    """1 for a correct completion, else 0."""
    return float(completion.correct)


def score_tokens(completion: EvalCompletion) -> float:
    """Generated tokens of a completion."""
    return float(completion.num_tokens)


def mean_per_problem(
    completions: Sequence[EvalCompletion], score: Callable[[EvalCompletion], float]
) -> dict[str, float]:
    """Mean score of each problem's samples, problems in the order of the rows."""
    scores: dict[str, list[float]] = {}
    for completion in completions:
        scores.setdefault(completion.problem_id, []).append(score(completion))
    return {problem: math.fsum(values) / len(values) for problem, values in scores.items()}


def interval_over_seeds(values: Sequence[float] | Floats, *, confidence: float = 0.95) -> Interval:
    """Mean of one number per independent run, with Student's t interval: mean +- t * deviation / sqrt(n).

    One run says nothing about the spread: its interval is infinite. Runs that agree exactly have a width of 0.
    """
    values_S = _checked(values, confidence=confidence)
    mean = float(values_S.mean())
    if len(values_S) == 1:
        return Interval(mean, -math.inf, math.inf)
    margin = student_quantile(len(values_S) - 1, confidence=confidence) * float(values_S.std(ddof=1))
    margin /= math.sqrt(len(values_S))
    return Interval(mean, mean - margin, mean + margin)


def wilson_interval(share: float, num_problems: int, *, confidence: float = 0.95) -> Interval:
    """A share of independent problems with Wilson's interval, which has a width at 0 and 1 as well.

    At 0 it ends at z^2 / (n + z^2), about 3.84 / n; Wilson 1927, eq. (2).
    """
    assert num_problems > 0, "no problems, no interval"
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    shrunk = (share + z**2 / (2 * num_problems)) / (1 + z**2 / num_problems)
    margin = z * math.sqrt(share * (1 - share) / num_problems + z**2 / (4 * num_problems**2))
    margin /= 1 + z**2 / num_problems
    return Interval(share, max(0.0, shrunk - margin), min(1.0, shrunk + margin))


def student_quantile(degrees: int, *, confidence: float) -> float:
    """t with P(|T| <= t) = confidence for Student's T with `degrees` of freedom, by bisection."""
    low, high = 0.0, 1.0
    while _student_within(high, degrees) < confidence:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _student_within(middle, degrees) < confidence else (low, middle)
    return high


def _student_within(t: float, degrees: int) -> float:
    """P(|T| <= t): the finite sums for whole degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2 == 1
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for k in range(2 if odd else 1, degrees, 2):
        total += term
        term *= k / (k + 1) * cosine**2
    return 2 / math.pi * (angle + sine * total) if odd else sine * total


def _checked(values: Sequence[float] | Floats, *, confidence: float) -> Floats:
    assert 0 < confidence < 1, f"confidence must lie between 0 and 1, got {confidence}"
    checked = np.asarray(values, dtype=np.float64)
    if checked.ndim != 1 or not len(checked) or not np.isfinite(checked).all():
        raise EvaluationError(
            f"no interval for {len(checked)} values of which {int((~np.isfinite(checked)).sum())} are not finite; "
            "expected at least one number, all finite: leave out the runs or problems without one"
        )
    return checked
