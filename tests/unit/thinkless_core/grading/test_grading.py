"""Grading, case by case (tests/cases/grading.jsonl)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.thinkless_core.grading.graded import is_correct, is_correct_paper
from thinkless_core.grading.extraction import extract_answer
from thinkless_core.grading.strict import grade_batch

CASES = Path(__file__).parents[3] / "cases"


def read_cases(name: str) -> list[Any]:
    """One pytest parameter per line, named by its reason."""
    rows = [json.loads(line) for line in (CASES / name).read_text(encoding="utf-8").splitlines()]
    return [pytest.param(row, id=row["why"]) for row in rows]


@pytest.mark.parametrize("case", read_cases("grading.jsonl"))
def test_a_completion_is_graded_as_the_case_says(case: dict[str, Any]) -> None:
    answer = extract_answer(case["completion"])
    assert answer == case["answer"]
    assert is_correct(answer, reference=case["reference"]) is case["correct"]
    assert grade_batch([answer], [case["reference"]])[0].reason == case["reason"]
    assert is_correct_paper(case["completion"], reference=case["reference"]) is case["paper"]


def test_the_case_table_has_a_reason_of_its_own_for_each_of_its_150_pairs() -> None:
    reasons = [case.id for case in read_cases("grading.jsonl")]
    assert len(reasons) == len(set(reasons)) >= 150


@pytest.mark.parametrize("end", ["", ".", ".5"])
def test_numbers_longer_than_any_float_are_told_apart(end: str) -> None:
    assert is_correct("1" * 400 + end, reference="1" * 400 + end)
    assert not is_correct("1" * 400 + end, reference="2" * 400 + end)


def test_long_numbers_that_differ_in_their_last_digit_are_told_apart() -> None:
    assert not is_correct("1" * 40, reference="1" * 39 + "2")


def test_no_answer_is_never_correct() -> None:
    assert not is_correct(None, reference="None")
    assert not is_correct(None, reference="")
