"""Chunks of a teacher's answers: files of an unfinished build, which are joined at its end and never held in memory.

problems, a chunk at a time -> chunk-START.parquet (generations), chunk-START.dropped.parquet -> joined files
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from schemas.records.dropped import DroppedRow
from schemas.records.generations import Generation
from schemas.records.problems import Problem
from tasks.running.parquet_files import iter_columns, join_records, num_records, write_records

if TYPE_CHECKING:
    from thinkless_core.grading.many_wrong import JudgedAnswer
    from thinkless_core.teachers.asking import DroppedAnswer


class _Drop(DroppedRow):
    """A dropped row of a chunk."""

    answer: str | None
    """The value that was read, if the answer was judged."""


class Chunk(NamedTuple):
    """The answers to some problems; it is finished if its file exists."""

    file: Path
    """The answers that are kept."""

    @property
    def drop_file(self) -> Path:
        """The others, one row per problem."""
        return self.file.with_suffix(".dropped.parquet")

    @property
    def num_problems(self) -> int:
        """Problems of a finished chunk: each is in one of the two files."""
        return num_records(self.file) + num_records(self.drop_file)

    def write(
        self, generations: Sequence[Generation], dropped: Sequence[DroppedAnswer], problems: Sequence[Problem]
    ) -> None:
        """Finish it; `problems` are those that were asked."""
        asked = {problem.problem_id: problem for problem in problems}
        drops = (_drop(answer, asked[answer.problem_id]) for answer in dropped)
        write_records(self.drop_file, _Drop, drops)  # written first, since the other file marks it as finished
        write_records(self.file, Generation, generations)


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


def answer_chunks(
    problems: Iterable[Problem], *, size: int, folder: Path, ask: Callable[[Chunk, Sequence[Problem]], None]
) -> Iterator[Chunk]:
    """Chunks in the order of the problems. `ask` finishes one that is not, with `size` problems at most."""
    folder.mkdir(parents=True, exist_ok=True)
    stream = iter(problems)
    waiting: list[Problem] = []
    start = 0
    while waiting := [*waiting, *islice(stream, size - len(waiting))]:
        chunk = Chunk(folder / f"chunk-{start:08d}.parquet")
        if not chunk.file.exists():
            ask(chunk, waiting)
        start += chunk.num_problems
        waiting = waiting[chunk.num_problems :]
        yield chunk


def judged_answers(chunks: Sequence[Chunk]) -> Iterator[JudgedAnswer]:
    """The answers of finished chunks that ended by themselves, first those that are kept."""
    from thinkless_core.grading.many_wrong import JudgedAnswer
    from thinkless_core.teachers.asking import REJECTED

    for chunk in chunks:
        for *judged, truncated in iter_columns(chunk.file, ["problem_id", "answer", "correct", "truncated"]):
            if not truncated:
                yield JudgedAnswer(*judged)
    for chunk in chunks:
        for problem_id, answer, reason in iter_columns(chunk.drop_file, ["problem_id", "answer", "reason"]):
            if reason == REJECTED:
                yield JudgedAnswer(problem_id, answer, correct=False)


def join_chunks(chunks: Sequence[Chunk], *, generations: Path, dropped: Path) -> int:
    """Write all answers that are kept, and the others; returns the number of those that are kept."""
    join_records(dropped, DroppedRow, (chunk.drop_file for chunk in chunks))
    return join_records(generations, Generation, (chunk.file for chunk in chunks))
