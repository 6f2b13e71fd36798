"""What teachers are and what they return: the types between a problem and its generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.problems import Problem


@dataclass(frozen=True)
class TeacherReply:
    """What a teacher wrote about one problem."""

    text: str
    """Body of the completion, without the control token in front."""
    finish_reason: FinishReason
    num_tokens: int
    """Generated tokens as the teacher counts them, end included."""
    mode: Mode
    """The mode the teacher says it answered in."""


@dataclass(frozen=True)
class UnusableReply:
    """What a teacher wrote about one problem, where it cannot become a completion: data, to be counted."""

    reason: str
    """One word for the kind of fault, such as `short_reasoned`; drops are counted by it."""
    text: str
    """All it wrote."""


class Teacher(Protocol):
    """Answers problems in one mode; the same problems, mode and seed give the same replies, as far as it can tell."""

    @property
    def name(self) -> str:
        """Who it is, for the record."""
        ...

    def answer(
        self, problems: Sequence[Problem], *, mode: Mode, max_tokens: int, seed: int
    ) -> Sequence[TeacherReply | UnusableReply]:
        """One reply per problem, cut at `max_tokens`; raises TeacherError, Transient where trying later may help."""
        ...

    def close(self) -> None:
        """Let go of what it holds, such as a model; it is not asked again."""
        ...
