"""The teacher that replays what a data set brings along: its reasoning traces, or its worked solutions.

source -> (question, trace | solution) -> spool on disk -> completion, cut at the limit, counted in the student's tokens

The source is read once, at the first question: a million traces stay on disk, and only where each begins in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from schemas.configs.problems import LocalSource, PresetSource
from schemas.configs.teach import RecordedSource
from schemas.errors import TeacherError
from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.problems import Problem
from thinkless_core.problems.answer_fields import solution_completion
from thinkless_core.problems.problem_set import normalise
from thinkless_core.problems.problem_sources import read_solutions, read_traces
from thinkless_core.teachers.reasoning import Written, as_reply
from thinkless_core.teachers.reply import TeacherReply, UnusableReply
from thinkless_core.teachers.worked_solutions import think_aloud

NOT_RECORDED = "not_recorded"
"""Reason of a drop where the source does not hold the problem, or nothing usable beside it."""


class RecordedSourceTeacher:
    """Answers the problems its source holds; the others are dropped, with the reason `not_recorded`."""

    def __init__(
        self,
        source: RecordedSource,
        *,
        completion_field: str | None,
        tokenizer: PreTrainedTokenizerBase,
        scratch: Path | None = None,
        rechecks: int | None = None,
    ) -> None:
        """`scratch` is the folder of the spool; the system's temporary one where not given.

        With `rechecks` the think side thinks aloud along the worked solutions, else it replays traces as they are.
        """
        self._source = source
        self._field = completion_field
        self._rechecks = rechecks
        self._tokenizer = tokenizer
        self._scratch = scratch
        self._recorded: tuple[Mode, _Spool] | None = None

    @property
    def name(self) -> str:
        """How it answers, and the preset's, file's or data set's name."""
        kind, source = "recorded" if self._rechecks is None else "worked_solutions", self._source
        if isinstance(source, PresetSource):
            return f"{kind}:{source.name}"
        return f"{kind}:{Path(source.path).name if isinstance(source, LocalSource) else source.id}"

    def answer(
        self, problems: Sequence[Problem], *, mode: Mode, max_tokens: int, seed: int
    ) -> list[TeacherReply | UnusableReply]:
        """See Teacher.answer; raises SourceError, and Transient where trying later may help."""
        if self._recorded is None or self._recorded[0] is not mode:
            self.close()
            self._recorded = mode, _Spool(self._read(mode), self._scratch)
        recorded = self._recorded[1]
        replies: list[TeacherReply | UnusableReply] = []
        for problem in problems:
            text = recorded.find(problem.question)
            if text is None:
                replies.append(UnusableReply(NOT_RECORDED, ""))
                continue
            written = Written(text, "", FinishReason.STOP, num_tokens=None)
            replies.append(as_reply(written, mode=mode, max_tokens=max_tokens, tokenizer=self._tokenizer))
        return replies

    def close(self) -> None:
        """Let go of the spool."""
        if self._recorded is not None:
            self._recorded[1].close()
            self._recorded = None

    def _read(self, mode: Mode) -> Iterator[tuple[str, str | None]]:
        if mode is Mode.THINK and self._rechecks is None:
            yield from read_traces(self._source, field=self._field)
            return
        if self._field is None:
            raise TeacherError(
                f"{self.name} replays short answers only where completion_field names the field with worked solutions"
            )
        for question, solution in read_solutions(self._source, field=self._field):
            if solution is None or self._rechecks is None or mode is Mode.SHORT:
                yield question, solution and solution_completion(solution)
            else:
                yield question, think_aloud(solution, rechecks=self._rechecks)


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
        """The text of a question, however its white space is written; None where there is none."""
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
