"""The accuracy-token curve that one model draws when its think logit is shifted, without training or sampling again.

ModeOutcomes -> P_b = sigmoid(logit(P(think)) + b) per problem, b over THINK_BIASES -> ParetoPoints -> area, point

The curve is what `thinkless ask --think-bias b` does, on average: the mode is drawn from both control tokens alone at
temperature 1, its completion is written at the temperature and top_p of the evaluation. So bias 0 is not mode auto of
an evaluation, which draws token 0 like every other token: at a temperature below 1 more decidedly, within the nucleus,
and free to draw no control token at all. Ends of the curve: never think, always think. Each point is exact given the
forced completions; its standard errors are over problems.

Area under the curve in its budget form A(t), the best accuracy to be had for t tokens a problem: points in the order of
their tokens, the best accuracy so far (budget may be left unspent), straight lines between neighbours (a budget between
two biases is met by drawing one of them), 0 below the cheapest point, level after the dearest. The area is the mean of
A(t) over budgets t from `low` to `high`, so it has the unit of an accuracy. Over its own tokens, a model that is better
when it thinks but cannot tell problems apart has the mean of both modes' accuracies. Compare models over one range.

Shapes: P problems, K points of a curve.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from schemas.errors import EvaluationError
from schemas.records.eval_completions import EvalCompletion
from schemas.records.eval_pareto import ParetoPoint
from thinkless_core.statistics.mode_outcomes import Floats, ModeOutcomes, stderr_of_mean

SMALLEST = 1e-12
"""Probabilities nearer to 0 or 1 are taken as this far from it, as `thinkless ask` does: no logit is over 28."""
END_BIAS = 64.0
"""Turns every P(think) into 0 or 1 to within 1e-15."""
THINK_BIASES = (-END_BIAS, *(step / 2 for step in range(-32, 33)), END_BIAS)
"""-64, then -16 to 16 in steps of 0.5, then 64. Logits of a trained choice reach 8 to 10 either way."""


def biased_think_probabilities(p_think_P: Floats, think_bias: float) -> Floats:
    """P(think) after `think_bias` was added to the think logit (P,)."""
    logit_P = np.log(np.maximum(p_think_P, SMALLEST) / np.maximum(1 - p_think_P, SMALLEST)) + think_bias
    # Written with the exponent of a negative number only, which cannot overflow.
    small_P = np.exp(-np.abs(logit_P))
    biased_P: Floats = np.where(logit_P >= 0, 1.0, small_P) / (1 + small_P)
    return biased_P


def pareto_curve(
    completions: Sequence[EvalCompletion], *, think_biases: Sequence[float] = THINK_BIASES
) -> list[ParetoPoint]:
    """One point per bias, in their order; `completions` are one model's on one benchmark, in both forced modes.

    Raises EvaluationError where the forced modes were not asked the same problems.
    """
    outcomes = ModeOutcomes.of(completions)
    points = []
    for think_bias in think_biases:
        think_P = biased_think_probabilities(outcomes.p_think_P, think_bias)
        accuracy_P, tokens_P = outcomes.expected(think_P)
        points.append(
            ParetoPoint(
                model=outcomes.model,
                benchmark=outcomes.benchmark,
                think_bias=think_bias,
                n=len(outcomes.problem_ids),
                accuracy=float(accuracy_P.mean()),
                accuracy_stderr=stderr_of_mean(accuracy_P),
                think_share=float(think_P.mean()),
                mean_tokens=float(tokens_P.mean()),
                mean_tokens_stderr=stderr_of_mean(tokens_P),
            )
        )
    return points


def area_under_curve(
    mean_tokens: Sequence[float], accuracy: Sequence[float], *, low: float | None = None, high: float | None = None
) -> float:
    """Mean of A(t) over budgets from `low` to `high`, the curve's own cheapest and dearest point where not given.

    `mean_tokens` and `accuracy` are the curve's points (K), in any order. Where `low` equals `high`: A there.
    Raises EvaluationError for a curve without points or a range upside down.
    """
    tokens_K, best_K = _budget_form(mean_tokens, accuracy)
    low = float(tokens_K[0]) if low is None else low
    high = float(tokens_K[-1]) if high is None else high
    if low > high:
        raise EvaluationError(f"budgets from {low:g} to {high:g} tokens, expected low <= high; exchange them")
    if low == high:
        return _best_at(low, tokens_K, best_K)
    inside_K = tokens_K[(tokens_K > max(low, tokens_K[0])) & (tokens_K < high)]
    # Below the cheapest point A is 0: the trapezoids begin where it begins.
    begin = max(low, float(tokens_K[0]))
    if begin >= high:
        return 0.0
    budgets = np.array([begin, *inside_K, high])
    values = np.array([_best_at(float(budget), tokens_K, best_K) for budget in budgets])
    return float((np.diff(budgets) * (values[1:] + values[:-1]) / 2).sum()) / (high - low)


def _budget_form(mean_tokens: Sequence[float], accuracy: Sequence[float]) -> tuple[Floats, Floats]:
    """Distinct tokens (K,), rising, and the best accuracy within each of them (K,)."""
    if not len(mean_tokens):
        raise EvaluationError("a curve without points has no area; expected at least one bias")
    order = np.lexsort((accuracy, mean_tokens))
    tokens_K = np.asarray(mean_tokens, dtype=np.float64)[order]
    best_K = np.maximum.accumulate(np.asarray(accuracy, dtype=np.float64)[order])
    last_of_its_tokens_K = np.append(tokens_K[1:] > tokens_K[:-1], True)
    return tokens_K[last_of_its_tokens_K], best_K[last_of_its_tokens_K]


def _best_at(budget: float, tokens_K: Floats, best_K: Floats) -> float:
    """A(budget)."""
    return 0.0 if budget < tokens_K[0] else float(np.interp(budget, tokens_K, best_K))


def point_within(points: Sequence[ParetoPoint], *, token_budget: float) -> ParetoPoint:
    """The most accurate point of one curve that costs at most `token_budget` a problem; among equals the cheapest.

    Raises EvaluationError where even the cheapest point costs more.
    """
    affordable = [point for point in points if point.mean_tokens <= token_budget]
    if not affordable:
        cheapest = min((point.mean_tokens for point in points), default=float("nan"))
        raise EvaluationError(
            f"no think bias stays within {token_budget:g} tokens a problem; the cheapest of {len(points)} points takes "
            f"{cheapest:g}: raise the budget"
        )
    return max(affordable, key=lambda point: (point.accuracy, -point.mean_tokens))
