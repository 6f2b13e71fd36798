"""The teacher that calls `reply` of its configuration for one problem after another; a user's own teachers use it, and
those whose programs work one problem out build on it.

TeacherConfig.reply -> text -> cut at the limit, counted in the student's tokens -> TeacherReply | UnusableReply
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from schemas.configs.teacher import TeacherConfig, TeacherTools
from schemas.errors import TeacherError, ThinklessError
from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.problems import Problem
from thinkless_core.teachers.reply import TeacherReply, UnusableReply, within_limit

NO_REPLY = "no_reply"
"""Reason of a drop: the teacher has no answer to the problem."""


C = TypeVar("C", bound=TeacherConfig)


class OneByOneTeacher(Generic[C]):
    """Answers with what `reply` returns."""

    def __init__(self, config: C, tools: TeacherTools) -> None:
        self._config = config
        self._tokenizer = tools.tokenizer

    @property
    def name(self) -> str:
        """Its name in the tables."""
        return self._config.display_name()

    def answer(
        self, problems: Sequence[Problem], *, mode: Mode, max_tokens: int, seed: int
    ) -> list[TeacherReply | UnusableReply]:
        """See Teacher.answer; raises TeacherError if `reply` fails or returns something else than text."""
        return [self._reply(problem, mode=mode, max_tokens=max_tokens, seed=seed) for problem in problems]

    def close(self) -> None:
        """Holds nothing."""

    def _reply(self, problem: Problem, *, mode: Mode, max_tokens: int, seed: int) -> TeacherReply | UnusableReply:
        try:
            text = self._config.reply(problem, mode=mode, seed=seed)
        except ThinklessError:
            raise
        except Exception as error:  # a teacher of the user's own may fail in any way
            raise TeacherError(
                f"teacher {self._config.kind}: {type(error).__name__} on problem {problem.problem_id}: {error}; mend "
                "its `reply`: it returns None if it has no answer"
            ) from error
        if text is None:
            return UnusableReply(NO_REPLY, "")
        if not isinstance(text, str) or not text.strip():
            raise TeacherError(
                f"teacher {self._config.kind}: problem {problem.problem_id} got {text!r:.60}, expected the text of an "
                "answer, or None if there is none"
            )
        body = within_limit(text.strip(), FinishReason.STOP, max_tokens=max_tokens, tokenizer=self._tokenizer)
        return TeacherReply(*body, mode)
