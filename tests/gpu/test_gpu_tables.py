"""Verdicts by exact text, rows by task and level, and tables that read well."""

from __future__ import annotations

import pytest

from schemas.mode import EvalMode, Mode
from schemas.records.eval_completions import EvalCompletion
from schemas.records.problems import Problem, ProblemSplit
from tests.gpu.cells import cell_rows, cell_table, of_benchmarks, summaries, summary
from tests.gpu.judging import EXACT, NEEDS, judged_here
from tests.gpu.results import table
from thinkless_core.grading.verdict import Outcome
from thinkless_core.grading.verifier import find_verifier


def problem(name: str, *, level: int = 1, verifier: str = "strict") -> Problem:
    """A problem whose answer is 12."""
    return Problem(
        problem_id=name,
        prompt="?",
        answer="12",
        difficulty=level,
        split=ProblemSplit.TEST,
        benchmark="sums",
        source="here",
        verifier=verifier,
    )


@pytest.mark.parametrize(
    ("completion", "outcome"),
    [
        ("<short>12", Outcome.CORRECT),
        ("<short> 12\n", Outcome.CORRECT),
        ("<short>The answer is \\boxed{12}.", Outcome.CORRECT),
        ("<think>7+5=13</think><answer>12</answer>", Outcome.CORRECT),
        ("<think>12</think>13", Outcome.WRONG),
        ("<short>12.0", Outcome.WRONG),
        ("<short>The answer is 12", Outcome.WRONG),
        ("<think>12", Outcome.UNREADABLE),
        ("<short>", Outcome.UNREADABLE),
    ],
)
def test_exact_text_wants_the_reference_behind_the_thought(completion: str, outcome: Outcome) -> None:
    assert find_verifier(EXACT).judge(problem("p"), completion).outcome is outcome


def test_only_verifiers_whose_package_is_absent_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NEEDS, "strict", "no_such_package")
    problems = [problem("a"), problem("b", verifier="paper")]
    judged, said = judged_here(problems)
    assert [p.verifier for p in judged] == [EXACT, "paper"]
    assert "strict needs no_such_package" in said


def completion(name: str, mode: EvalMode, *, right: bool, chosen: Mode | None = None, p: float = 0.5) -> EvalCompletion:
    """A completion of ten tokens."""
    return EvalCompletion(
        completion_id=f"{name}-{mode}",
        model="m",
        benchmark="sums",
        mode=mode,
        problem_id=name,
        difficulty=1,
        sample=0,
        chosen_mode=chosen or mode.forced,
        completion="",
        answer=None,
        correct=right,
        num_tokens=10,
        truncated=False,
        malformed=False,
        fake_short=False,
        p_think=p,
        grader="strict",
        correct_paper=right,
    )


def test_a_row_says_which_mode_pays_and_what_the_choice_earned() -> None:
    """gamma 0.5: a right think answer earns 0.5, a right short one 1, a wrong one -1."""
    problems = [problem("easy", level=1), problem("hard", level=2)]
    found = [
        completion("easy", EvalMode.SHORT, right=True),
        completion("easy", EvalMode.THINK, right=True),
        completion("easy", EvalMode.AUTO, right=True, chosen=Mode.SHORT, p=0.1),
        completion("hard", EvalMode.SHORT, right=False),
        completion("hard", EvalMode.THINK, right=True),
        completion("hard", EvalMode.AUTO, right=True, chosen=Mode.THINK, p=0.8),
    ]
    rows = cell_rows(problems, found, mass={"easy": 1.0, "hard": 0.5}, gamma=0.5)
    assert [(row["task"], row["level"], row["pays"]) for row in rows] == [
        ("sums", 1, "short"),
        ("sums", 2, "think"),
        ("all", None, "think"),
    ]
    whole = summary(rows)
    assert (whole["p_think_where_it_pays"], whole["p_think_elsewhere"]) == (0.8, 0.1)
    # auto: (1 + 0.5) / 2; always short: (1 - 1) / 2; always think: 0.5; by the cell: (1 + 0.5) / 2
    assert [whole[f"{name}_reward"] for name in ("auto", "short", "think", "best")] == [0.75, 0.0, 0.5, 0.75]
    named = of_benchmarks(problems, found, mass={"easy": 1.0, "hard": 0.5}, gamma=0.5)
    assert summaries(named) == {"sums": whole}
    assert "0.80 |   0.80" in cell_table(named, before=named)


def test_a_table_aligns_numbers_on_the_right_and_escapes_bars() -> None:
    assert table(["name", "n"], [["a|b", 1234], ["c", None]]).split("\n") == [
        "| name |     n |",
        "| ---- | ----: |",
        "| a\\|b | 1,234 |",
        "| c    |       |",
    ]
