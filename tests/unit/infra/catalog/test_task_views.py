"""Views by task and level: numbers by hand, standard errors over problems, and routers beside those of the core."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.report.data.in_memory_tables import connect
from schemas.mode import EvalMode, Mode
from schemas.records.eval_completions import EvalCompletion
from schemas.records.eval_routers import RouterScore
from tests.oracles.statistics import clustered_stderr
from tests.unit.infra.report.reported import write
from tests.unit.thinkless_core.grading.graded import evaluated, graded, random_evaluation, with_tasks
from thinkless_core.statistics.routers import score_routers


def asked(folder: Path, sql: str, rows: Sequence[EvalCompletion], scores: Sequence[RouterScore] = ()) -> list[Any]:
    """Rows of a query over the views by task."""
    tables = {
        "eval_completions": (write(folder / "completions.parquet", EvalCompletion, rows),),
        "eval_routers": (write(folder / "routers.parquet", RouterScore, scores),),
    }
    records = {"eval_completions": EvalCompletion, "eval_routers": RouterScore}
    with connect(tables, schemas=records, views=("eval_by_task", "eval_routers_by_task")) as connection:
        return list(connection.execute(sql).fetchall())


def test_means_by_task_and_level_are_those_by_hand_and_two_samples_are_one_observation(tmp_path: Path) -> None:
    def answer(problem: str, sample: int, *, correct: bool, tokens: int, mode: Mode | None) -> EvalCompletion:
        row = graded(
            problem, EvalMode.AUTO, correct=correct, num_tokens=tokens, sample=sample, chosen_mode=mode, p_think=0.25
        )
        return row.model_copy(update={"score": 1.0 if correct else 0.5})

    rows = [
        answer("p", 0, correct=True, tokens=3, mode=Mode.SHORT),
        answer("p", 1, correct=True, tokens=3, mode=Mode.SHORT),
        answer("q", 0, correct=False, tokens=20, mode=Mode.THINK),
        answer("q", 1, correct=False, tokens=6, mode=None),
        answer("r", 0, correct=True, tokens=9, mode=Mode.THINK),
        answer("s", 0, correct=True, tokens=1, mode=Mode.THINK),
    ]
    rows = with_tasks(rows, {"p": ("legs", 1), "q": ("legs", 1), "r": ("legs", 2), "s": (None, 1)})
    found = asked(
        tmp_path,
        "select task, difficulty, mode, num_problems, n, accuracy, accuracy_stderr, think_share, mean_tokens, "
        "mean_p_think, mean_score from eval_by_task order by task, difficulty",
        rows,
    )
    # legs 1: p is right twice, q never: mean 1/2 of 1 and 0, deviation sqrt(1/2), over sqrt(2): 1/2. As four
    # observations it would be sqrt(1/3) / 2 = 0.289. Thinks in 0 and 1/2: 1/4. Tokens 3 and 13. Score 1 and 1/2.
    assert found == [
        ("legs", 1, "auto", 2, 4, 0.5, pytest.approx(0.5), 0.25, 8.0, 0.25, 0.75),
        ("legs", 2, "auto", 1, 1, 1.0, 0.0, 1.0, 9.0, 0.25, 1.0),
    ]


def test_standard_errors_by_task_are_clustered_by_problem(tmp_path: Path) -> None:
    kinds = {f"p{i}": (f"t{i % 2}", 1) for i in range(20)}
    rows = with_tasks(random_evaluation(20, num_samples=4), kinds)
    found = asked(tmp_path, "select task, mode, accuracy_stderr, think_share_stderr from eval_by_task", rows)
    assert len(found) == 2 * 3
    for task, mode, accuracy_stderr, think_stderr in found:
        own = [row for row in rows if (row.task, row.mode) == (task, mode)]
        assert accuracy_stderr == pytest.approx(clustered_stderr([(r.problem_id, float(r.correct)) for r in own]))
        thinks = [(r.problem_id, float(r.chosen_mode is Mode.THINK)) for r in own]
        assert think_stderr == pytest.approx(clustered_stderr(thinks))


ROUTERS = "select task, difficulty, router, n, accuracy, accuracy_stderr, think_share, mean_tokens, mean_tokens_stderr "
ROUTERS += "from eval_routers_by_task"


@pytest.mark.parametrize("seed", range(3))
def test_routers_of_a_level_are_those_of_the_core_on_its_problems_and_add_up_to_those_of_the_benchmark(
    tmp_path: Path, seed: int
) -> None:
    kinds = {f"p{i}": (f"t{i % 3}", i % 2) for i in range(30)}
    rows = with_tasks(random_evaluation(30, num_samples=3, seed=seed), kinds)
    whole = {score.router: score for score in score_routers(rows, threshold=0.5)}
    found = asked(tmp_path, ROUTERS, rows, list(whole.values()))
    assert len(found) == 6 * len(whole) == 6 * 8
    for task, level, router, *numbers in found:
        own = [row for row in rows if (row.task, row.difficulty) == (task, level)]
        if router not in ("random", "task"):  # these choose for more than a level
            score = next(score for score in score_routers(own, threshold=0.5) if score.router == router)
            assert numbers == pytest.approx(
                [
                    score.n,
                    score.accuracy,
                    score.accuracy_stderr,
                    score.think_share,
                    score.mean_tokens,
                    score.mean_tokens_stderr,
                ]
            )
    for router, score in whole.items():
        parts = [(n, accuracy, share, tokens) for _, _, r, n, accuracy, _, share, tokens, _ in found if r == router]
        sums = [sum(n * part[k] for n, *part in parts) / 30 for k in range(3)]
        assert sums == pytest.approx([score.accuracy, score.think_share, score.mean_tokens])


def test_a_threshold_that_was_not_stored_and_problems_that_lack_a_mode_have_no_row(tmp_path: Path) -> None:
    kinds = {f"p{i}": ("t", 1) for i in range(4)}
    rows = with_tasks(random_evaluation(4), kinds)
    found = asked(tmp_path, ROUTERS, [row for row in rows if row.completion_id != "m-auto-p0-0"])
    assert {n for _, _, _, n, *_ in found} == {3}
    assert {router for _, _, router, *_ in found} == {
        "auto",
        "short",
        "think",
        "oracle",
        "random",
        "task",
        "task-level",
    }
    assert asked(tmp_path, ROUTERS, random_evaluation(4)) == []
    assert asked(tmp_path, ROUTERS, evaluated({})) == []
