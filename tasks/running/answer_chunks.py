"""Chunks of a teacher's answers: folders of an unfinished build, which are joined at its end and never held in memory.

problems of a chunk, a portion at a time -> chunk-START/: NUMBER.parquet (generations), NUMBER.dropped.parquet
all chunks -> joined files
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from schemas.records.dropped import DroppedRow
from schemas.records.generations import Generation
from schemas.records.problems import Problem, ProblemSplit
from tasks.running.chunks import Chunk
from tasks.running.parquet_files import iter_columns, iter_records, join_records, write_records

if TYPE_CHECKING:
    from thinkless_core.grading.many_wrong import JudgedAnswer
    from thinkless_core.teachers.asking import DroppedAnswer


class _Drop(DroppedRow):
    """A dropped row of a chunk."""

    answer: str | None
    """The value that was read, if the answer was judged."""


class Answers(NamedTuple):
    """Answers to some problems."""

    generations: Sequence[Generation]
    """Those that can be kept."""
    dropped: Sequence[DroppedAnswer]
    """The others."""


@dataclass(frozen=True)
class AnswerChunk(Chunk):
    """The answers to some warm-up problems; its size is the number of these."""

    start: int
    """Number of the first one."""

    def write(self, problems: Sequence[Problem], ask: Callable[[Sequence[Problem]], Answers]) -> None:
        """Finish it. `ask` answers the first of some problems, as many as can be asked together."""
        unfinished = self.file.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
        unfinished.mkdir(parents=True)
        done = 0
        while done < len(problems):
            answers = ask(problems[done:])
            portion = unfinished / f"{done:08d}.parquet"
            asked = {problem.problem_id: problem for problem in problems[done:]}
            drops = (_drop(answer, asked[answer.problem_id]) for answer in answers.dropped)
            write_records(portion, Generation, answers.generations)
            write_records(_drop_file(portion), _Drop, drops)
            done += len(answers.generations) + len(answers.dropped)
        unfinished.rename(self.file)

    @property
    def files(self) -> list[Path]:
        """The answers that are kept, in their order."""
        return sorted(self.file.glob("????????.parquet"))

    @property
    def drop_files(self) -> list[Path]:
        """The others, one row per problem."""
        return [_drop_file(file) for file in self.files]


def _drop_file(portion: Path) -> Path:
    return portion.with_suffix(".dropped.parquet")


def _drop(dropped: DroppedAnswer, problem: Problem) -> _Drop:
    """The row of an answer; if it was judged, what was read comes first."""
    read = f"read {dropped.answer}, expected {problem.answer}: " if dropped.answer is not None else ""
    return _Drop(
        stage=f"teach-{dropped.mode}",
        reason=dropped.reason,
        problem_id=dropped.problem_id,
        source=dropped.teacher,
        prompt=problem.prompt,
        detail=read + dropped.text,
        answer=dropped.answer,
    )


class WarmUpProblems:
    """The warm-up problems of a file, read from the beginning on, of which only those asked for are in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: Iterator[Problem] = iter(())
        self._at = 0

    def read(self, start: int, size: int) -> list[Problem]:
        """So many problems from a place; going back reads the file again."""
        if start < self._at or self._at == 0:
            self._rows = iter_records(self.path, Problem, where=[("split", ProblemSplit.SFT)])
            self._at = 0
        found = list(islice(self._rows, start - self._at, start - self._at + size))
        self._at = start + size
        return found

    def __len__(self) -> int:
        return sum(split == ProblemSplit.SFT for (split,) in iter_columns(self.path, ["split"]))


def all_files(chunks: Sequence[AnswerChunk]) -> Iterator[Path]:
    """The answers that are kept, in the order of their problems."""
    return (file for chunk in chunks for file in chunk.files)


def all_drop_files(chunks: Sequence[AnswerChunk]) -> Iterator[Path]:
    """The others."""
    return (file for chunk in chunks for file in chunk.drop_files)


def judged_answers(chunks: Sequence[AnswerChunk]) -> Iterator[JudgedAnswer]:
    """The answers of finished chunks that ended by themselves, first those that are kept."""
    from thinkless_core.grading.many_wrong import JudgedAnswer
    from thinkless_core.teachers.asking import REJECTED

    for file in all_files(chunks):
        for *judged, truncated in iter_columns(file, ["problem_id", "answer", "correct", "truncated"]):
            if not truncated:
                yield JudgedAnswer(*judged)
    for file in all_drop_files(chunks):
        for problem_id, answer, reason in iter_columns(file, ["problem_id", "answer", "reason"]):
            if reason == REJECTED:
                yield JudgedAnswer(problem_id, answer, correct=False)


def join_chunks(chunks: Sequence[AnswerChunk], *, generations: Path, dropped: Path) -> int:
    """Write all answers that are kept, and the others; returns the number of those that are kept."""
    join_records(dropped, DroppedRow, all_drop_files(chunks))
    return join_records(generations, Generation, all_files(chunks))
