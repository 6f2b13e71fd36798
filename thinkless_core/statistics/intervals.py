"""How far a measured mean or difference may be trusted: intervals over problems, and over seeds.

two cells of one evaluation -> one difference per problem -> resampled problems -> Interval   (paired bootstrap)
one number per seed -> Student's t -> Interval   (few, independent runs)

Cells share problems and random streams, so a difference between them is taken problem by problem before anything is
resampled; what both find hard cancels. Samples of one problem are averaged first: the problem is the unit.

Shapes: P problems, R resamples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.errors import EvaluationError
from schemas.records.eval_completions import EvalCompletion
from thinkless_core.seeding import random_stream

Floats = npt.NDArray[np.float64]

NUM_RESAMPLES = 4000
"""Enough for the ends of a 95% interval to move by a few hundredths of its width from seed to seed."""
RESAMPLED_AT_ONCE = 4_000_000
"""Problems drawn side by side; bounds memory, never changes a draw."""


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


def paired_difference(
    left: Sequence[EvalCompletion],
    right: Sequence[EvalCompletion],
    *,
    score: Callable[[EvalCompletion], float] = score_accuracy,
    seed: int,
    num_resamples: int = NUM_RESAMPLES,
    confidence: float = 0.95,
) -> Interval:
    """Mean of `score` in cell `left` less that in `right`, with a paired bootstrap interval over problems.

    Raises EvaluationError where the cells are empty or were not asked the same problems.
    """
    left_scores, right_scores = mean_per_problem(left, score), mean_per_problem(right, score)
    if not left_scores or left_scores.keys() != right_scores.keys():
        alone = sorted(left_scores.keys() ^ right_scores.keys())
        raise EvaluationError(
            f"cells of {len(left_scores)} and {len(right_scores)} problems cannot be paired, expected the same "
            f"problems in both, got in only one: {', '.join(alone[:3]) or 'none, both are empty'}; compare cells of "
            "one benchmark"
        )
    differences_P = np.array([left_scores[problem] - right_scores[problem] for problem in sorted(left_scores)])
    return bootstrap_mean(differences_P, seed=seed, num_resamples=num_resamples, confidence=confidence)


def mean_per_problem(
    completions: Sequence[EvalCompletion], score: Callable[[EvalCompletion], float]
) -> dict[str, float]:
    """Mean score of each problem's samples, problems in the order of the rows."""
    scores: dict[str, list[float]] = {}
    for completion in completions:
        scores.setdefault(completion.problem_id, []).append(score(completion))
    return {problem: math.fsum(values) / len(values) for problem, values in scores.items()}


def bootstrap_mean(
    values: Sequence[float] | Floats, *, seed: int, num_resamples: int = NUM_RESAMPLES, confidence: float = 0.95
) -> Interval:
    """The mean of `values` (P) with a percentile bootstrap interval; the same values and seed give the same ends.

    Too narrow for a handful of values, as it never sees any but those: for seeds take `interval_over_seeds`.
    """
    values_P = _checked(values, confidence=confidence)
    stream = random_stream("bootstrap", seed)
    step = max(1, RESAMPLED_AT_ONCE // len(values_P))
    means = [
        values_P[stream.integers(len(values_P), size=(min(step, num_resamples - start), len(values_P)))].mean(axis=1)
        for start in range(0, num_resamples, step)
    ]
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return Interval(float(values_P.mean()), float(low), float(high))


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
