"""The strict grader on the reference answers of MATH-500 and AIME 2024: itself right, a perturbed copy wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real_data import real_data
from thinkless_core.grading.canonical import read_value
from thinkless_core.grading.exact import compare_exactly
from thinkless_core.grading.pool import shared_pool
from thinkless_core.grading.strict import grade_batch

ROOT = Path(__file__).parents[4]
OVERLOOKED = {
    (".0000673", ".0000672"),  # decimals are rounded to six places
    ("15\\mbox{ cm}^3", "15\\mbox{ cm}^2"),  # units are dropped
    ("864 \\mbox{ inches}^3", "864 \\mbox{ inches}^2"),
}
"""Wrong answers that math-verify accepts, and this grader does not; answers in another number base are more of them."""
COUNTS = {"math500.json": 500, "aime24.json": 30}


def references(file: str) -> list[str]:
    """Reference answers of one benchmark; skips where its file is missing."""
    return [row["answer"] for row in json.loads(real_data(file).read_text(encoding="utf-8"))]


def without_digits() -> dict[str, str]:
    """Perturbed copies of the references that have no digit to change."""
    lines = (ROOT / "tests" / "cases" / "grading_perturbed.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["reference"]: row["perturbed"] for row in map(json.loads, lines)}


def one_more(number: re.Match[str]) -> str:
    """The next number, with its leading zeros."""
    return str(int(number[0]) + 1).zfill(len(number[0]))


def first_number_raised(answer: str) -> str:
    """A copy whose first number is one larger."""
    return re.sub(r"\d+", one_more, answer, count=1)


def last_number_raised(answer: str) -> str:
    """A copy whose last number is one larger; a subscript base and an exponent count."""
    return re.sub(r"\d+(?=\D*$)", one_more, answer, count=1)


@pytest.mark.parametrize("file", COUNTS)
def test_every_reference_answer_is_accepted_as_its_own_answer(file: str) -> None:
    answers = references(file)
    assert len(answers) == COUNTS[file]
    respelt = [f" ${re.sub('(?<!d)frac', 'dfrac', answer)}$. " for answer in answers]
    for written in (answers, respelt):
        assert [a for a, v in zip(written, grade_batch(written, answers), strict=True) if not v.correct] == []


@pytest.mark.parametrize("perturb", [first_number_raised, last_number_raised])
@pytest.mark.parametrize("file", COUNTS)
def test_every_perturbed_reference_answer_is_refused(file: str, perturb: Callable[[str], str]) -> None:
    answers = references(file)
    by_hand = without_digits()
    perturbed = [perturb(answer) if re.search(r"\d", answer) else by_hand[answer] for answer in answers]
    assert all(copy != answer for copy, answer in zip(perturbed, answers, strict=True))
    verdicts = grade_batch(perturbed, answers)
    assert [pair for *pair, verdict in zip(perturbed, answers, verdicts, strict=True) if verdict.correct] == []


def test_what_is_decided_without_math_verify_is_what_math_verify_would_say() -> None:
    """On perturbed copies of MATH-500, but for what math-verify overlooks."""
    answers = references("math500.json")
    pairs = [(last_number_raised(a) if re.search(r"\d", a) else without_digits()[a], a) for a in answers]
    certain = {(a, r): compare_exactly(read_value(a), read_value(r)) for a, r in pairs}
    asked = [pair for pair in certain if certain[pair] is not None]
    assert len(asked) > 0.97 * len(certain), "the exact path settles nearly everything"
    outcomes = shared_pool().compare(asked, timeout_seconds=20, workers=2)
    contradicted = {
        pair for pair, outcome in zip(asked, outcomes, strict=True) if certain[pair] is not (outcome == "equal")
    }
    bases = {(copy, answer) for copy, answer in asked if re.fullmatch(r"\d+_\{?\d\}?", answer)}
    assert contradicted == bases | OVERLOOKED
