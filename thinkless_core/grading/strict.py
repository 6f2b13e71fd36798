"""The strict verifier: exact comparison if that is certain, else math-verify within a time limit.

(answer, reference) -> spelling, number, formula compared exactly -> right | wrong
                    -> in doubt: a grading process asks math-verify -> right | wrong | out of time

Differs from math-verify alone, which rounds decimals to 6 places, drops units and number bases, reads words as
products of letters and two numbers side by side as their sum: values that differ in those are wrong here.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from enum import StrEnum
from typing import Literal, NamedTuple

from schemas.records.problems import Problem
from thinkless_core.grading.canonical import Value, read_value
from thinkless_core.grading.exact import compare_exactly
from thinkless_core.grading.extraction import extract_answer
from thinkless_core.grading.pool import shared_pool
from thinkless_core.grading.verdict import Outcome, Verdict
from thinkless_core.grading.verifier import Verifier

TIMEOUT_SECONDS = 5.0
"""Processor seconds math-verify has for one pair; a few hundredths are usual."""
WORKERS = 2
"""Grading processes at most; none is started before a pair needs one."""
REMEMBERED_PAIRS = 65536
"""Grades by math-verify that are kept: the samples of one problem repeat their answers."""

logger = logging.getLogger(__name__)


class Reason(StrEnum):
    """How a grade was reached."""

    EXACT = "exact"
    """Right: one spelling, or one exact value."""
    SYMBOLIC = "symbolic"
    """Right: math-verify finds the two equal."""
    DIFFERENT = "different"
    """Wrong: two values."""
    MISSING = "missing"
    """Wrong: the completion has no final value."""
    UNPARSABLE = "unparsable"
    """Wrong: no mathematics anybody can read, and not the reference letter by letter."""
    TIMEOUT = "timeout"
    """Wrong: math-verify did not end in time."""
    CRASHED = "crashed"
    """Wrong: the value ended the grading process."""


class Grade(NamedTuple):
    """Right or wrong, and why."""

    correct: bool
    reason: Reason


_OF_OUTCOME = {
    "equal": Grade(True, Reason.SYMBOLIC),
    "different": Grade(False, Reason.DIFFERENT),
    "unparsable": Grade(False, Reason.UNPARSABLE),
    "timeout": Grade(False, Reason.TIMEOUT),
    "crashed": Grade(False, Reason.CRASHED),
}
_remembered: dict[tuple[str, str, float], Grade] = {}


class StrictVerifier(Verifier):
    """Reads the final value and compares it with the reference; the verifier of every source that names no other."""

    name: Literal["strict"] = "strict"

    def judge(self, problem: Problem, completion: str) -> Verdict:
        """See Verifier.judge."""
        return self.judge_batch([problem], [completion])[0]

    def judge_batch(self, problems: Sequence[Problem], completions: Sequence[str]) -> list[Verdict]:
        """See Verifier.judge_batch; equal pairs are graded once, and doubtful ones side by side."""
        answers = [extract_answer(completion) for completion in completions]
        grades = grade_batch(answers, [problem.answer for problem in problems])
        return [_verdict(answer, grade) for answer, grade in zip(answers, grades, strict=True)]


def _verdict(answer: str | None, grade: Grade) -> Verdict:
    if grade.correct:
        return Verdict(Outcome.CORRECT, answer, score=1.0)
    unreadable = grade.reason in (Reason.MISSING, Reason.UNPARSABLE)
    return Verdict(Outcome.UNREADABLE if unreadable else Outcome.WRONG, answer, grade.reason)


def grade_batch(
    answers: Sequence[str | None],
    references: Sequence[str],
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
    workers: int = WORKERS,
) -> list[Grade]:
    """A grade per pair, in order. Equal pairs are graded once.

    Raises EvaluationError if a pair needs math-verify and it cannot be loaded.
    """
    grades: list[Grade | None] = []
    doubtful: dict[tuple[str, str, float], list[int]] = {}
    for index, (answer, reference) in enumerate(zip(answers, references, strict=True)):
        if answer is None:
            grades.append(Grade(False, Reason.MISSING))
            continue
        ours, theirs = read_value(answer), read_value(reference)
        certain = compare_exactly(ours, theirs)
        if certain is None:
            pair = (_for_math_verify(ours), _for_math_verify(theirs), timeout_seconds)
            grades.append(_remembered.get(pair))
            if grades[-1] is None:
                doubtful.setdefault(pair, []).append(index)
        else:
            grades.append(Grade(certain, Reason.EXACT if certain else Reason.DIFFERENT))
    for pair, grade in _ask_math_verify(list(doubtful), workers=workers).items():
        for index in doubtful[pair]:
            grades[index] = grade
    return [grade for grade in grades if grade is not None]


def _ask_math_verify(pairs: Sequence[tuple[str, str, float]], *, workers: int) -> dict[tuple[str, str, float], Grade]:
    if not pairs:
        return {}
    outcomes = shared_pool().compare([p[:2] for p in pairs], timeout_seconds=pairs[0][2], workers=workers)
    graded = {pair: _OF_OUTCOME[outcome] for pair, outcome in zip(pairs, outcomes, strict=True)}
    for (answer, reference, seconds), grade in graded.items():
        if grade.reason in (Reason.TIMEOUT, Reason.CRASHED):
            logger.warning(
                "grading %r against %r: %s (limit %g s of processor time); counted as wrong",
                answer[:60],
                reference[:60],
                grade.reason,
                seconds,
            )
    if len(_remembered) + len(graded) > REMEMBERED_PAIRS:
        _remembered.clear()
    _remembered.update(graded)
    return graded


def _for_math_verify(value: Value) -> str:
    return value.latex + ("\\%" if value.percent else "")
