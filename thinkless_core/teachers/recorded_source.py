"""The teacher that replays a data set: its reasoning traces, or its worked solutions.

source -> (question, trace | solution) -> spool on disk -> completion, cut at the limit, counted in the student's tokens

The source is read once, at the first question: a million traces stay on disk, and only where each begins in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from schemas.configs.recorded_teachers import RecordedTeacher
from schemas.configs.teacher import TeacherConfig, TeacherTools
from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.problems import Problem
from thinkless_core.problems.answer_fields import solution_completion
from thinkless_core.problems.problem_set import normalise
from thinkless_core.teachers.reasoning import Written, as_reply
from thinkless_core.teachers.recorded_file import RecordingTeacher
from thinkless_core.teachers.reply import Teacher, TeacherReply, UnusableReply

NOT_RECORDED = "not_recorded"
"""Reason of a drop: the source does not hold the problem, or nothing usable beside it."""


def recorded_teacher(config: RecordedTeacher, tools: TeacherTools) -> Teacher:
    """The teacher that replays a file, or a data set."""
    if config.source is not None:
        return RecordedSourceTeacher(config, tools)
    assert config.path is not None
    return RecordingTeacher(config.path, tokenizer=tools.tokenizer)


class RecordedSourceTeacher:
    """Answers the problems its source holds; the others are dropped, with the reason `not_recorded`."""

    kind = "recorded"

    def __init__(self, config: TeacherConfig, tools: TeacherTools) -> None:
        source = config.replayed()
        assert source is not None
        self._config = config
        self._source = source
        self._tools = tools
        self._recorded: tuple[Mode, _Spool] | None = None

    @property
    def name(self) -> str:
        """The kind, and the preset's, file's or data set's name."""
        return f"{self.kind}:{self._source.display_name()}"

    def answer(
        self, problems: Sequence[Problem], *, mode: Mode, max_tokens: int, seed: int
    ) -> list[TeacherReply | UnusableReply]:
        """See Teacher.answer; raises SourceError, and Transient if trying later may help."""
        if self._recorded is None or self._recorded[0] is not mode:
            self.close()
            self._recorded = mode, _Spool(self.completions(mode), self._tools.scratch)
        recorded = self._recorded[1]
        replies: list[TeacherReply | UnusableReply] = []
        for problem in problems:
            text = recorded.find(problem.question)
            if text is None:
                replies.append(UnusableReply(NOT_RECORDED, ""))
                continue
            written = Written(text, "", FinishReason.STOP, num_tokens=None)
            replies.append(as_reply(written, mode=mode, max_tokens=max_tokens, tokenizer=self._tools.tokenizer))
        return replies

    def close(self) -> None:
        """Remove the spool."""
        if self._recorded is not None:
            self._recorded[1].close()
            self._recorded = None

    def completions(self, mode: Mode) -> Iterator[tuple[str, str | None]]:
        """(question, completion without its control token) of every row; None for a row without a usable one."""
        for question, text in self._config.recorded_rows(self._source, mode):
            yield question, text if mode is Mode.THINK else text and solution_completion(text)


class _Place(NamedTuple):
    begin: int
    num_bytes: int


class _Spool:
    """Texts on disk by question, the first of each question kept; gone when closed."""

    def __init__(self, rows: Iterable[tuple[str, str | None]], scratch: Path | None) -> None:
        if scratch is not None:
            scratch.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - it lives as long as this object
        self._places: dict[bytes, _Place] = {}
        begin = 0
        for question, text in rows:
            name = _digest(question)
            if text is None or name in self._places:
                continue
            written = self._file.write(text.encode(errors="surrogatepass"))
            self._places[name] = _Place(begin, written)
            begin += written

    def find(self, question: str) -> str | None:
        """The text of a question, however its white space is written; None if there is none."""
        place = self._places.get(_digest(question))
        if place is None:
            return None
        self._file.seek(place.begin)
        return self._file.read(place.num_bytes).decode(errors="surrogatepass")

    def close(self) -> None:
        """Remove the file."""
        self._file.close()


def _digest(question: str) -> bytes:
    return blake2b(normalise(question).encode(errors="surrogatepass"), digest_size=16).digest()
