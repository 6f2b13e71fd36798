"""What judging one completion says: correct, wrong or unreadable, and why."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """How a completion did."""

    CORRECT = "correct"
    WRONG = "wrong"
    UNREADABLE = "unreadable"
    """It has no answer that could be compared."""


class Verdict(NamedTuple):
    """The outcome of one completion, with what it rests on."""

    outcome: Outcome
    answer: str | None
    """The final value that was read; None if there is none."""
    reason: str = ""
    """Why the outcome is not `correct`."""
    score: float = 0.0
    """For verifiers that grade by degrees; 1 is the best."""

    @property
    def correct(self) -> bool:
        """Whether the outcome is `correct`."""
        return self.outcome is Outcome.CORRECT
