"""Rows of one question: the same answer again is a duplicate, another one a conflict, counted and listed by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.configs.problems import LocalSource, ProblemsConfig
from schemas.errors import SourceError
from tests.problem_rows import GOOD, local, write
from thinkless_core.problems.problem_set import ProblemSet, build_problem_set

MANY = [{"prompt": f"p{n}", "answer": str(n)} for n in range(200)]


def build(tmp_path: Path, rows: list[dict[str, str]], **settings: object) -> ProblemSet:
    """The set of these training rows."""
    bench = {"bench": local(tmp_path / "bench.jsonl", GOOD)}
    return build_problem_set(
        ProblemsConfig.model_validate({"source": local(tmp_path / "p.jsonl", rows), "benchmarks": bench, **settings})
    )


@pytest.mark.parametrize(
    ("first", "second", "conflict"),
    [
        ("1", "2", True),
        ("4 (cents)", "18 (cents)", True),
        ("yes", "no", True),
        (r"\frac{1}{2}", r"\frac{1}{3}", True),
        ("1", " 1 ", False),
        ("1/2", "0.5", False),
        ("1,200", "1200", False),
        (r"\frac{1}{2}", r"\dfrac12", False),
    ],
)
def test_another_value_is_a_conflict_and_another_spelling_is_not(
    tmp_path: Path, first: str, second: str, conflict: bool
) -> None:
    made = build(tmp_path, [{"prompt": "Q", "answer": first}, *MANY, {"prompt": " Q\n", "answer": second}])
    assert (made.drops["duplicate"], made.drops.get("conflict", 0)) == (not conflict, conflict)
    assert len(made.conflicts) == conflict
    if conflict:
        (listed,) = made.conflicts
        places = f"{tmp_path / 'p.jsonl'}, line 202", f"{tmp_path / 'p.jsonl'}, line 1"
        assert (listed.where, listed.kept_where) == places
        assert (listed.prompt, listed.answer, listed.kept_answer) == ("Q", second, first)
        (note,) = made.notes
        assert note.startswith("train: 1 of 202 rows contradict an earlier row of the same question")
    assert [p.answer for p in made.problems if p.question == "Q"] == [" ".join(first.split())]


def test_more_conflicts_than_the_share_stop_the_run(tmp_path: Path) -> None:
    asked_by_halves = [{"prompt": "How many are left?", "answer": str(n)} for n in range(6)]
    rows = [*MANY, *asked_by_halves, {"prompt": "How many are left?", "answer": "0"}]
    with pytest.raises(SourceError) as caught:
        build(tmp_path, rows)
    said = (
        "5 of 207 rows have the question of an earlier row and another answer, over problems.max_conflict_share=0.01",
        "line 202: 'How many are left?' has the answer '1', and '0' at ",
        "and 2 more. Set prompt_field to the whole question",
    )
    assert [part for part in said if part not in str(caught.value)] == []
    made = build(tmp_path, rows, max_conflict_share=0.03)
    assert (made.drops["conflict"], made.drops["duplicate"], len(made.conflicts)) == (5, 1, 5)


def test_the_two_rows_of_a_small_file_stop_the_run_and_name_each_other(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"1 of 2 rows .*line 2: 'Q' has the answer '2', and '1' at .*line 1"):
        build(tmp_path, [{"prompt": "Q", "answer": "1"}, {"prompt": "Q", "answer": "2"}])


def test_a_benchmark_that_contradicts_itself_stops_the_run(tmp_path: Path) -> None:
    bench = local(tmp_path / "b.jsonl", [*GOOD, {"prompt": GOOD[0]["prompt"], "answer": "9"}])
    with pytest.raises(SourceError, match=r"1 of 3 rows .*b\.jsonl, line 3"):
        build(tmp_path, MANY, benchmarks={"bench": bench})


def test_the_problems_for_rl_may_contradict_those_of_the_warm_up(tmp_path: Path) -> None:
    rl_rows = [{"prompt": "p1", "answer": "1"}, {"prompt": "p2", "answer": "5"}, {"prompt": "new", "answer": "1"}]
    rl_source = local(tmp_path / "rl.jsonl", rl_rows)
    made = build(tmp_path, MANY, rl_source=rl_source, max_conflict_share=0.4)
    assert (made.drops["rl_problem_taught_in_sft"], made.drops["conflict"]) == (1, 1)
    assert [(c.answer, c.kept_answer) for c in made.conflicts] == [("5", "2")]
    (note,) = made.notes
    assert note.startswith("rl: 1 of 3 rows contradict a row of problems.source of the same question and are dropped")
    with pytest.raises(SourceError, match="1 of 3 rows"):
        build(tmp_path, MANY, rl_source=rl_source)


def test_unreadable_rows_and_doubtful_breaks_are_notes_of_the_run(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", [*MANY, {"prompt": "q", "answer": None}])
    with path.open("a") as file:
        file.write('{"prompt": "is 1 $\\neq$ 2?", "answer": "yes"}\n')
    made = build_problem_set(
        ProblemsConfig(
            source=LocalSource(path=str(path)),
            benchmarks={"bench": local(tmp_path / "bench.jsonl", GOOD)},
            instruction="Use \text{ }.",
        )
    )
    instruction, unreadable, doubtful = made.notes
    assert (
        instruction == "problems.instruction has a tab followed by 'ext', most likely an unescaped backslash (\\text)"
    )
    assert unreadable.startswith(
        "train: 1 of 202 rows cannot be used and are dropped, listed in table unreadable_answers"
    )
    assert f"{path}, line 201: the problem has no answer" in unreadable
    assert doubtful.startswith(
        f"train: 1 of 201 problems look damaged; the first is {path}, line 202: the prompt has a line"
    )
