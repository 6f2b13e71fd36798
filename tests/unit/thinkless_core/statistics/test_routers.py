"""Routers: the hand case, the oracle's choices, and expectations against a sum over every choice."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from schemas.errors import EvaluationError
from schemas.mode import EvalMode, Mode
from schemas.records.eval_completions import EvalCompletion
from schemas.records.eval_routers import RouterScore
from tests.oracles import statistics as oracle
from tests.unit.thinkless_core.grading.graded import Outcome, evaluated, random_evaluation
from thinkless_core.statistics.mode_outcomes import ModeOutcomes
from thinkless_core.statistics.routers import score_routers

HAND = {
    "a": Outcome(short=(True, 3), think=(True, 10), p_think=0.1, auto=Mode.SHORT),
    "b": Outcome(short=(False, 3), think=(True, 20), p_think=0.8, auto=Mode.THINK),
    "c": Outcome(short=(False, 3), think=(False, 30), p_think=0.6, auto=Mode.THINK),
    "d": Outcome(short=(True, 3), think=(False, 12), p_think=0.7, auto=Mode.THINK),
    "e": Outcome(short=(False, 3), think=(True, 15), p_think=0.5, auto=None),
}


def by_name(completions: list[EvalCompletion], *, threshold: float = 0.5) -> dict[str, RouterScore]:
    return {score.router: score for score in score_routers(completions, threshold=threshold)}


@pytest.mark.parametrize(
    ("router", "accuracy", "think_share", "mean_tokens", "hybrid_accuracy"),
    [
        # a short right 3, b think right 20, c think wrong 30, d think wrong 12, e malformed wrong 6: 2/5, 71/5; the
        # oracle chooses short, think, short, short, think, so a and b are its choices: 2/5.
        ("auto", 0.4, 0.6, 14.2, 0.4),
        ("short", 0.4, 0.0, 3.0, None),  # a, d right
        ("think", 0.6, 1.0, 17.4, None),  # a, b, e right; 10 + 20 + 30 + 12 + 15 = 87
        ("oracle", 0.8, 0.4, 8.8, 1.0),  # all but c; 3 + 20 + 3 + 3 + 15 = 44
        # 0.4 * 0.4 + 0.6 * 0.6, 0.4 * 3 + 0.6 * 17.4; agrees on a, c, d with 0.4 and on b, e with 0.6: 2.4/5
        ("random", 0.52, 0.6, 11.64, 0.48),
        # thinks about b, c, d, and not about e, which is not over 0.5: a, b right; 3 + 20 + 30 + 12 + 3 = 68
        ("threshold", 0.4, 0.6, 13.6, 0.4),
    ],
)
def test_the_hand_case_comes_out_as_calculated(
    router: str, accuracy: float, think_share: float, mean_tokens: float, hybrid_accuracy: float | None
) -> None:
    score = by_name(evaluated(HAND))[router]
    assert score.accuracy == pytest.approx(accuracy)
    assert score.think_share == pytest.approx(think_share)
    assert score.mean_tokens == pytest.approx(mean_tokens)
    assert score.hybrid_accuracy == pytest.approx(hybrid_accuracy)
    assert (score.n, score.threshold) == (5, 0.5 if router == "threshold" else None)


def test_standard_errors_are_those_of_a_mean_over_problems() -> None:
    oracle_row = by_name(evaluated(HAND))["oracle"]
    # 1, 1, 0, 1, 1: sample variance 0.2, so sqrt(0.2 / 5).
    assert oracle_row.accuracy_stderr == pytest.approx(0.2)
    # 3, 20, 3, 3, 15 about 8.8: 3 * 5.8^2 + 11.2^2 + 6.2^2 = 264.8, over 4, over 5.
    assert oracle_row.mean_tokens_stderr == pytest.approx(math.sqrt(264.8 / 20))


def test_with_many_samples_the_standard_error_is_clustered_by_problem() -> None:
    rows = random_evaluation(9, num_samples=5)
    auto = [c for c in rows if c.mode is EvalMode.AUTO]
    score = by_name(rows)["auto"]
    assert score.accuracy_stderr == pytest.approx(
        oracle.clustered_stderr([(c.problem_id, float(c.correct)) for c in auto])
    )
    assert score.mean_tokens_stderr == pytest.approx(
        oracle.clustered_stderr([(c.problem_id, float(c.num_tokens)) for c in auto])
    )
    one_problem = by_name(random_evaluation(1, num_samples=5))["auto"]
    assert (one_problem.n, one_problem.accuracy_stderr) == (1, 0.0)


def test_the_oracle_judges_a_mode_by_all_samples_and_not_by_its_lucky_one() -> None:
    lucky = Outcome(short=(True, 3), think=(True, 20))
    unlucky = Outcome(short=(False, 3), think=(True, 20))
    rows = [row for sample in range(3) for row in evaluated({"p": unlucky if sample else lucky}, sample=sample)]
    assert by_name([row for row in rows if row.sample == 0])["oracle"].think_share == 0.0
    # short is right in 1 of 3, think in 3 of 3
    judged = by_name(rows)["oracle"]
    assert (judged.accuracy, judged.think_share, judged.mean_tokens) == (1.0, 1.0, 20.0)


@pytest.mark.parametrize(
    ("short", "think", "think_share"),
    [
        ((True, 9), (True, 8), 1.0),
        ((False, 9), (False, 8), 1.0),
        ((True, 8), (True, 8), 0.0),
        ((False, 9), (True, 90), 1.0),
        ((True, 90), (False, 9), 0.0),
    ],
)
def test_the_oracle_takes_the_right_mode_then_the_cheaper_one_then_short(
    short: tuple[bool, int], think: tuple[bool, int], think_share: float
) -> None:
    assert by_name(evaluated({"p": Outcome(short, think)}))["oracle"].think_share == think_share


def test_no_router_that_chooses_one_mode_per_problem_is_right_more_often_or_as_often_for_less_than_the_oracle() -> None:
    for seed in range(5):
        outcomes = ModeOutcomes.of(random_evaluation(7, num_samples=2, seed=seed))
        best_accuracy_P, best_tokens_P = outcomes.expected(outcomes.oracle_choice().astype(float))
        best = (best_accuracy_P.mean(), -best_tokens_P.mean())
        for choice in itertools.product((0.0, 1.0), repeat=7):
            accuracy_P, tokens_P = outcomes.expected(np.array(choice))
            # Sums in another order: equal accuracies may differ in their last digit.
            assert (round(accuracy_P.mean(), 12), round(-tokens_P.mean(), 12)) <= (
                round(best[0], 12),
                round(best[1], 12),
            )


def test_an_expectation_is_the_weighted_sum_over_every_way_to_choose_the_modes() -> None:
    rows = random_evaluation(5, num_samples=2)
    outcomes = ModeOutcomes.of(rows)
    share = by_name(rows)["random"].think_share
    for think_P in (outcomes.p_think_P, np.full(5, share)):
        accuracy = tokens = 0.0
        for modes in itertools.product((EvalMode.SHORT, EvalMode.THINK), repeat=5):
            weight, right, written = 1.0, 0, 0
            for i, mode in enumerate(modes):
                weight *= think_P[i] if mode is EvalMode.THINK else 1 - think_P[i]
                for row in rows:
                    if row.problem_id == f"p{i}" and row.mode is mode:
                        right += row.correct
                        written += row.num_tokens
            accuracy += weight * right / 10
            tokens += weight * written / 10
        accuracy_P, tokens_P = outcomes.expected(think_P)
        assert (accuracy_P.mean(), tokens_P.mean()) == pytest.approx((accuracy, tokens))
    assert by_name(rows)["random"].accuracy == pytest.approx(accuracy)


def test_routers_do_not_depend_on_the_order_of_the_rows() -> None:
    rows = random_evaluation(8, num_samples=2)
    for left, right in zip(score_routers(rows, threshold=0.5), score_routers(rows[::-1], threshold=0.5), strict=True):
        assert left.model_dump() == pytest.approx(right.model_dump())


def test_a_threshold_is_passed_only_by_what_is_over_it() -> None:
    shares = [by_name(evaluated(HAND), threshold=t)["threshold"].think_share for t in (0.0, 0.1, 0.65, 0.8, 1.0)]
    assert shares == [1.0, 0.8, 0.4, 0.0, 0.0]


def test_cells_that_do_not_fit_together_are_refused() -> None:
    rows = evaluated(HAND)
    with pytest.raises(EvaluationError, match="forced short has 0 and forced think 5"):
        score_routers([row for row in rows if row.mode is not EvalMode.SHORT], threshold=0.5)
    with pytest.raises(EvaluationError, match="mode auto has 4 problems, the forced modes 5"):
        score_routers(rows[1:], threshold=0.5)
    other = [row.model_copy(update={"problem_id": "x"}) if row.completion_id == "m-short-a-0" else row for row in rows]
    with pytest.raises(EvaluationError, match="the same problems and samples in both"):
        score_routers(other, threshold=0.5)
    with pytest.raises(EvaluationError, match="equally many for each"):
        score_routers([*rows, *evaluated({"a": HAND["a"]}, sample=1)], threshold=0.5)
