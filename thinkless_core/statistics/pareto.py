"""The accuracy-token curve that one model draws when its think logit is shifted, without training or sampling again.

ModeOutcomes -> P_b = sigmoid(logit(P(think)) + b) per problem, b over THINK_BIASES -> ParetoPoints

The curve is what `thinkless ask --think-bias b` does, on average: the mode is drawn from both control tokens alone at
temperature 1, its completion is written at the temperature and top_p of the evaluation. So bias 0 is not mode auto of
an evaluation, which draws token 0 like every other token: at a temperature below 1 more decidedly, within the nucleus,
and free to draw no control token at all. Ends of the curve: never think, always think. Each point is exact given the
forced completions; its standard errors are over problems.

The SQL view eval_pareto_area is the area under a curve. Shapes: P problems.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from schemas.records.eval_completions import EvalCompletion
from schemas.records.eval_pareto import ParetoPoint
from thinkless_core.statistics.mode_outcomes import Floats, ModeOutcomes, stderr_of_mean

SMALLEST = 1e-12
"""Probabilities are kept this far from 0 and 1: no logit is over 28."""
END_BIAS = 64.0
"""Turns every P(think) into 0 or 1 to within 1e-15."""
THINK_BIASES = (-END_BIAS, *(step / 2 for step in range(-32, 33)), END_BIAS)
"""-64, then -16 to 16 in steps of 0.5, then 64. Logits of a trained choice reach 8 to 10 either way."""


def biased_think_probabilities(p_think_P: Floats | float, think_bias: float, *, temperature: float = 1.0) -> Floats:
    """P(think) after `think_bias` was added to the think logit and both logits were divided by the temperature (P,)."""
    logit_P = np.log(np.maximum(p_think_P, SMALLEST) / np.maximum(1 - p_think_P, SMALLEST)) + think_bias
    logit_P = logit_P / temperature
    # Written with the exponent of a negative number only, which cannot overflow.
    small_P = np.exp(-np.abs(logit_P))
    biased_P: Floats = np.where(logit_P >= 0, 1.0, small_P) / (1 + small_P)
    return biased_P


def pareto_curve(
    completions: Sequence[EvalCompletion], *, think_biases: Sequence[float] = THINK_BIASES
) -> list[ParetoPoint]:
    """One point per bias, in their order; `completions` are one model's on one benchmark, in both forced modes.

    Raises EvaluationError if the forced modes were not asked the same problems.
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
