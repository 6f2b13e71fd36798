"""Chunks of a teacher's answers: files of an unfinished build, which are joined at its end and never held in memory.

problems, a chunk at a time -> chunk-START.parquet (generations), chunk-START.dropped.jsonl -> joined files
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from infra.disk import write_whole
from schemas.records.generations import Generation
from schemas.records.problems import Problem
from tasks.running.parquet_files import iter_columns, join_records, num_records, write_records

if TYPE_CHECKING:
    from thinkless_core.grading.many_wrong import JudgedAnswer
    from thinkless_core.teachers.asking import DroppedAnswer


class Chunk(NamedTuple):
    """The answers to some problems; it is finished if its file exists."""

    file: Path
    """The answers that are kept."""

    @property
    def drop_file(self) -> Path:
        """The others, a line each."""
        return self.file.with_suffix(".dropped.jsonl")

    @property
    def num_problems(self) -> int:
        """Problems of a finished chunk: each is in one of the two files."""
        with self.drop_file.open("rb") as lines:
            return num_records(self.file) + sum(1 for _ in lines)

    def write(self, generations: Sequence[Generation], dropped: Sequence[DroppedAnswer]) -> None:
        """Finish it."""
        write_whole(self.drop_file, _lines(dropped))  # written first, since the other file marks it as finished
        write_records(self.file, Generation, generations)


def answer_chunks(
    problems: Iterable[Problem], *, size: int, folder: Path, ask: Callable[[Chunk, Sequence[Problem]], None]
) -> Iterator[Chunk]:
    """Chunks in the order of the problems. `ask` finishes one that is not, with `size` problems at most."""
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


def dropped_answers(chunks: Iterable[Chunk]) -> Iterator[DroppedAnswer]:
    """The dropped answers of finished chunks."""
    from thinkless_core.teachers.asking import DroppedAnswer

    for chunk in chunks:
        with chunk.drop_file.open("rb") as lines:
            for line in lines:
                yield DroppedAnswer(**json.loads(line))


def judged_answers(chunks: Sequence[Chunk]) -> Iterator[JudgedAnswer]:
    """The answers of finished chunks that ended by themselves, first those that are kept."""
    from thinkless_core.grading.many_wrong import JudgedAnswer
    from thinkless_core.teachers.asking import REJECTED

    for chunk in chunks:
        for *judged, truncated in iter_columns(chunk.file, ["problem_id", "answer", "correct", "truncated"]):
            if not truncated:
                yield JudgedAnswer(*judged)
    for drop in dropped_answers(chunks):
        if drop.reason == REJECTED:
            yield JudgedAnswer(drop.problem_id, drop.answer, correct=False)


def join_chunks(chunks: Sequence[Chunk], *, generations: Path, dropped: Path) -> int:
    """Write all answers that are kept, and the others if there are any; returns the number of those that are kept."""
    num_rows = join_records(generations, Generation, (chunk.file for chunk in chunks))
    if any(chunk.drop_file.stat().st_size for chunk in chunks):
        write_whole(dropped, _lines(dropped_answers(chunks)))
    return num_rows


def _lines(drops: Iterable[DroppedAnswer]) -> Iterator[bytes]:
    for drop in drops:
        yield (json.dumps(asdict(drop), ensure_ascii=False) + "\n").encode()
