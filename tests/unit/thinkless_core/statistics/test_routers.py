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
from tests.unit.thinkless_core.grading.graded import Outcome, evaluated, random_evaluation, with_tasks
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


KINDS = {
    "a": ("sum", 1),
    "b": ("sum", 2),
    "c": ("sum", 2),
    "d": ("legs", 1),
    "e": ("legs", 1),
}


def test_a_router_per_task_takes_the_mode_that_is_right_more_often_over_the_task() -> None:
    scores = by_name(with_tasks(evaluated(HAND), KINDS))
    # sum: short right on a, think on a and b, so it thinks: right on a, b; 10 + 20 + 30 tokens.
    # legs: short right on d, think on e: equal, and short is the cheaper (6 against 27): right on d; 3 + 3 tokens.
    # The oracle thinks about b and e alone: agrees on b and d.
    task = scores["task"]
    assert (task.accuracy, task.think_share, task.mean_tokens, task.hybrid_accuracy) == pytest.approx(
        (0.6, 0.6, 13.2, 0.4)
    )
    # sum 1 is a: equally right, short cheaper. sum 2 is b, c: think right once, short never.
    # Right on a, b, d; 3 + 20 + 30 + 3 + 3 tokens; agrees on a, b, d.
    level = scores["task-level"]
    assert (level.accuracy, level.think_share, level.mean_tokens, level.hybrid_accuracy) == pytest.approx(
        (0.6, 0.4, 11.8, 0.6)
    )
    # 1, 1, 0, 1, 0: sample variance 0.3, over 5.
    assert task.accuracy_stderr == pytest.approx(math.sqrt(0.3 / 5))
    assert (task.n, task.threshold) == (5, None)


def test_without_tasks_there_is_no_router_for_them_and_problems_without_one_count_as_one_task() -> None:
    assert not {"task", "task-level"} & by_name(evaluated(HAND)).keys()
    mixed = by_name(with_tasks(evaluated(HAND), {**KINDS, "d": (None, 1), "e": (None, 1)}))
    named = by_name(with_tasks(evaluated(HAND), KINDS))
    for router in ("task", "task-level"):
        assert mixed[router] == named[router]


def test_choices_per_task_are_those_of_counting_and_lie_between_a_fixed_mode_and_the_oracle() -> None:
    for seed in range(8):
        rows = random_evaluation(24, num_samples=3, seed=seed)
        rows = with_tasks(rows, {f"p{i}": (f"t{i % 5}", i % 2) for i in range(24)})
        outcomes = ModeOutcomes.of(rows)
        cells = {
            mode: [
                (
                    [row.correct for row in rows if (row.problem_id, row.mode) == (problem, mode)],
                    [row.num_tokens for row in rows if (row.problem_id, row.mode) == (problem, mode)],
                )
                for problem in outcomes.problem_ids
            ]
            for mode in (EvalMode.SHORT, EvalMode.THINK)
        }
        scores = by_name(rows)
        kinds = list(zip(outcomes.tasks_P, outcomes.levels_P, strict=True))
        for router, groups in (("task", list(outcomes.tasks_P)), ("task-level", kinds)):
            expected = oracle.mode_per_group(groups, cells[EvalMode.SHORT], cells[EvalMode.THINK])
            assert outcomes.group_choice(groups).tolist() == expected
            assert scores[router].think_share == pytest.approx(sum(expected) / 24)
        fixed = max(scores["short"].accuracy, scores["think"].accuracy)
        ordered = [fixed, *(scores[router].accuracy for router in ("task", "task-level", "oracle"))]
        assert ordered == sorted(ordered)


def test_modes_that_are_right_equally_often_over_a_task_are_equal_however_their_samples_add_up() -> None:
    # Of three samples, short is right in 0, 0 and 3, think in 0, 1 and 2: 0 + 1/3 - 1/3 is not 0 in floating point, as
    # 1/3 and 1 - 2/3 are rounded apart. Thinking is the cheaper.
    right = {"p0": (0, 0), "p1": (0, 1), "p2": (3, 2)}
    rows = [
        row
        for sample in range(3)
        for row in evaluated(
            {p: Outcome((sample < k, 9), (sample < m, 8)) for p, (k, m) in right.items()}, sample=sample
        )
    ]
    assert by_name(with_tasks(rows, dict.fromkeys(right, ("sum", 1))))["task"].think_share == 1.0
