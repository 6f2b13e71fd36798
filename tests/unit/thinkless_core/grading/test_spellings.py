"""One value in many spellings, and values that look alike: tests/cases/spellings.jsonl, read both ways round."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thinkless_core.grading.boxes import boxed_value
from thinkless_core.grading.canonical import read_value
from thinkless_core.grading.exact import compare_exactly
from thinkless_core.grading.extraction import extract_answer, final_value
from thinkless_core.grading.strict import grade_batch
from thinkless_core.problems.answer_fields import answer_value

CASES = Path(__file__).parents[3] / "cases"


def read_lines(name: str) -> list[dict[str, Any]]:
    """The rows of a case table."""
    return [json.loads(line) for line in (CASES / name).read_text(encoding="utf-8").splitlines()]


def test_spellings_are_judged_as_the_table_says_whichever_is_the_reference() -> None:
    rows = read_lines("spellings.jsonl")
    given, references = [row["given"] for row in rows], [row["reference"] for row in rows]
    expected = [row["correct"] for row in rows]
    assert len(rows) >= 250
    for answers, against in ((given, references), (references, given)):
        verdicts = [grade.correct for grade in grade_batch(answers, against)]
        differing = [
            pair for *pair, ours, right in zip(answers, against, verdicts, expected, strict=True) if ours is not right
        ]
        assert differing == []


@pytest.mark.parametrize("row", read_lines("extraction.jsonl"), ids=lambda row: row["completion"][:40])
def test_the_final_value_is_what_the_table_says(row: dict[str, str]) -> None:
    assert final_value(row["completion"]) == row["value"]
    assert extract_answer("<short>" + row["completion"]) == (row["value"] or None)
    assert extract_answer("<think>so\\boxed{99}</think>" + row["completion"]) == (row["value"] or None)


@pytest.mark.parametrize(
    "text", ["\\boxed{7}", "\\boxed 7", "\\boxed {7}", "\\fbox{7}", "\\framebox{7}", "$\\boxed{7}$ and \\boxed{8"]
)
def test_references_and_completions_are_read_by_one_reader(text: str) -> None:
    assert boxed_value(text) == "7" == final_value(text)
    assert answer_value(text, answer_format="boxed") == ("7", "")


@pytest.mark.parametrize("value", [0.1, 2.3, 1e-3, 123.456, 7.25, 33.3])
def test_a_number_that_was_stored_as_a_float_is_still_that_number(value: float) -> None:
    written = f"{value:.12g}"
    stored = [repr(float(np.float32(value))), repr(value + 4e-16 * value)]
    assert [grade.correct for grade in grade_batch(stored, [written] * 2)] == [True, True]
    near = [repr(float(np.float32(value * 1.001))), f"{value * 1.0001:.12g}", f"{value:.9f}1"]
    assert not any(grade.correct for grade in grade_batch(near, [written] * 3))


def test_nothing_that_a_model_writes_makes_reading_or_comparing_fail() -> None:
    """Pieces of references and of notation, put together at random."""
    pieces = [piece for row in read_lines("spellings.jsonl") for piece in (row["given"], row["reference"])]
    pieces += [
        "^",
        "_",
        "{",
        "}",
        "\\",
        "(",
        "[",
        ",",
        " and ",
        "\\pm",
        "/",
        "m^",
        "\\text{",
        "\\frac",
        "!",
        "|",
        "=",
        "\\cup",
        "%",
    ]
    stream = np.random.default_rng(0)
    values = [
        "".join(
            piece[int(stream.integers(len(piece))) :] for piece in stream.choice(pieces, size=stream.integers(1, 5))
        )
        for _ in range(3000)
    ]
    for ours, theirs in zip(values, reversed(values), strict=True):
        final_value(ours)
        boxed_value(f"\\boxed{{{ours}}} and \\boxed{theirs}")
        assert compare_exactly(read_value(ours), read_value(theirs)) in (True, False, None)
        assert compare_exactly(read_value(ours), read_value(ours)) is not False or read_value(ours).latex == ""


def test_a_power_tower_or_factorial_is_given_up_at_once() -> None:
    for text in ("9^{9^{9^9}}", "10^{10^{10}}!", "(10^6)!", "2^{10^6}", "\\sqrt[10^9]{2}"):
        assert compare_exactly(read_value(text), read_value("3")) is not True
