"""What all teachers that replay recorded answers do: look a question up, and take its first good answer.

rows -> (question, recorded answers) -> AnswerFiles on disk -> the first good answer as TeacherReply | UnusableReply

Of several answers to a question, in one row or in several, the first is taken that the problem's verifier judges
correct; without one the first complete one, then the first that was cut. An only answer is not judged here.
The rows are read once, at the first question or before: a million traces stay on disk.
Only so many problems are answered at once as have recorded answers of BYTES_AT_ONCE.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from schemas.configs.source import Recorded, RecordedAnswer
from schemas.configs.teacher import TeacherTools
from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.problems import Problem
from thinkless_core.grading.verifier import judge_completions
from thinkless_core.student.counted_tokens import CountedTokens
from thinkless_core.teachers.answer_files import AnswerFiles
from thinkless_core.teachers.reasoning import as_recorded, as_replies
from thinkless_core.teachers.reply import TeacherReply, UnusableReply

BYTES_AT_ONCE = 64 << 20
"""Recorded answers that are in memory together, in bytes; one problem's may be more."""
NOT_RECORDED = "not_recorded"
"""Reason of a drop: no row asks this question."""


class ReplayingTeacher:
    """Answers with what rows record; a subclass says where they come from, and what a question without a row is."""

    def __init__(self, tools: TeacherTools) -> None:
        self._tools = tools
        self._recorded: tuple[Mode, AnswerFiles] | None = None

    def completions(self, mode: Mode) -> Iterator[tuple[str, Recorded]]:
        """(question, what is recorded about it) of every row."""
        raise NotImplementedError

    def missing(self, problem: Problem, mode: Mode) -> UnusableReply:
        """The reply to a question that no row asks; raises TeacherError if there has to be one."""
        raise NotImplementedError

    def num_at_once(self, problems: Sequence[Problem], *, mode: Mode) -> int:
        """How many of these problems, from the first, may be asked together; see Teacher."""
        files, num_bytes = self.read_all(mode), 0
        for number, problem in enumerate(problems, start=1):
            num_bytes += files.num_bytes(problem.question)
            if num_bytes >= BYTES_AT_ONCE:
                return number
        return len(problems)

    def answer(
        self, problems: Sequence[Problem], *, mode: Mode, max_tokens: int, seed: int
    ) -> list[TeacherReply | UnusableReply]:
        """See Teacher.answer; raises SourceError or TeacherError, and Transient if trying later may help."""
        files = self.read_all(mode)
        found = [files.find(problem.question, mode) for problem in problems]
        best: dict[int, TeacherReply | UnusableReply] = {
            i: self.missing(problems[i], mode) for i, answers in enumerate(found) if not answers
        }
        waiting = [i for i, answers in enumerate(found) if answers]
        rank = 0
        while waiting:
            answers = [found[i][rank] for i in waiting]
            replies = dict(zip(waiting, self._replies(answers, mode=mode, max_tokens=max_tokens), strict=True))
            right = _right(problems, {i: reply for i, reply in replies.items() if len(found[i]) > 1})
            for i, reply in replies.items():
                if i in right or i not in best or _goodness(reply) > _goodness(best[i]):
                    best[i] = reply
            rank += 1
            waiting = [i for i in waiting if i not in right and rank < len(found[i])]
        return [best[i] for i in range(len(problems))]

    def close(self) -> None:
        """Close the files; those in a folder for temporary files are removed."""
        if self._recorded is not None:
            self._recorded[1].close()
            self._recorded = None

    def read_all(self, mode: Mode) -> AnswerFiles:
        """The rows on disk; read now, if they are not yet there. See Teacher."""
        if self._recorded is None or self._recorded[0] is not mode:
            self.close()
            folder = None if self._tools.scratch is None else self._tools.scratch / f"recorded-{mode}"
            self._recorded = mode, AnswerFiles.of(self._completions(mode), folder)
        return self._recorded[1]

    def _completions(self, mode: Mode) -> Iterator[tuple[str, RecordedAnswer]]:
        for question, recorded in self.completions(mode):
            for answer in _answers(recorded):
                yield question, answer

    @cached_property
    def _tokens(self) -> CountedTokens:
        return CountedTokens(self._tools.tokenizer, by_word=True)

    def _replies(
        self, answers: Sequence[RecordedAnswer], *, mode: Mode, max_tokens: int
    ) -> list[TeacherReply | UnusableReply]:
        written = [as_recorded(a.text, a.thought, finished=a.finished) for a in answers if not a.fault]
        usable = iter(as_replies(written, mode=mode, max_tokens=max_tokens, tokens=self._tokens))
        return [UnusableReply(a.fault, a.text or a.thought) if a.fault else next(usable) for a in answers]


def _goodness(reply: TeacherReply | UnusableReply) -> int:
    if isinstance(reply, UnusableReply):
        return 0
    return 2 if reply.finish_reason is FinishReason.STOP else 1


def _right(problems: Sequence[Problem], replies: dict[int, TeacherReply | UnusableReply]) -> set[int]:
    """Numbers of the problems whose reply is complete and correct."""
    complete = [(i, r) for i, r in replies.items() if isinstance(r, TeacherReply) and _goodness(r) == 2]
    verdicts = judge_completions(
        [problems[i] for i, _ in complete], [reply.mode.token + reply.text for _, reply in complete]
    )
    return {i for (i, _), verdict in zip(complete, verdicts, strict=True) if verdict is not None and verdict.correct}


def _answers(recorded: Recorded) -> Sequence[RecordedAnswer]:
    if isinstance(recorded, str) or recorded is None:
        return (RecordedAnswer(recorded or "", fault="" if recorded else "empty"),)
    return recorded
