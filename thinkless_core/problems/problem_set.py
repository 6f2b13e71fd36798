"""From sources to the problems of a run: normalised, deduplicated, decontaminated, split.

benchmarks + training source -> drop duplicates -> drop what a benchmark also holds -> sft | rl | test
Every row that is dropped is listed with its reason; what a benchmark holds and conflicts are listed with more.

A problem is known by its normalised text, which its id is made from; what is asked is the text as its source has it.
Texts are in files and read as they are needed; in memory are some dozens of bytes of each row, and the benchmarks.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.broken_escapes import doubtful_break
from schemas.configs.problems import ProblemsConfig
from schemas.configs.source import SourceConfig, SourceProblem
from schemas.errors import SourceError
from schemas.records.conflicting_answers import ConflictingAnswer
from schemas.records.dropped import DroppedRow
from schemas.records.problems import Problem, ProblemSplit
from schemas.records.removed_problems import RemovedProblem
from schemas.records.unreadable_answers import UnreadableAnswer
from thinkless_core.problems.conflicts import Repeated, find_conflicts, refuse_conflicts
from thinkless_core.problems.contamination import HeldOut
from thinkless_core.problems.first_ones import FirstOnes
from thinkless_core.problems.problem_sources import source_rows
from thinkless_core.problems.repeats import DigestList, Digests, first_of_each
from thinkless_core.problems.source_notes import conflict_note, source_notes
from thinkless_core.rows import RowFile, RowsAt
from thinkless_core.seeding import random_stream

TAUGHT = "rl_problem_taught_in_sft"
"""Reason of a drop: the problem of the source for RL is one of the warm-up's."""


Places = NDArray[np.int64]
"""Numbers of rows of a source, counted from 0."""
REPEATED_AT_ONCE = 1000
"""Rows that are compared with an earlier one of the same question together."""


@dataclass(frozen=True)
class ProblemSet:
    """All problems of a run, and every row that was left out."""

    problems: RowFile[Problem]
    dropped: RowFile[DroppedRow]
    removed: RowFile[RemovedProblem]
    """Training problems that a benchmark holds, whole or in part."""
    unreadable: RowFile[UnreadableAnswer]
    conflicts: RowFile[ConflictingAnswer]
    notes: list[str]
    """What the user should know of the sources, a line each."""

    @property
    def drops(self) -> Counter[str]:
        """Reason -> number of rows that were left out."""
        return Counter(row.reason for row in self.dropped)


def normalise(text: str) -> str:
    """What a text is known by: Unicode NFC, runs of white space as one space, none at the ends."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).strip()


def problem_id(name: str, question: str) -> str:
    """A stable identity: its split or benchmark, and a hash of its text, without the instruction."""
    return f"{name}-{hashlib.sha256(question.encode()).hexdigest()[:12]}"


def asked(question: str, *, instruction: str) -> str:
    """The user's turn: the question and, on lines of its own below it, the instruction."""
    return f"{question}\n{instruction}" if instruction else question


def build_problem_set(config: ProblemsConfig, *, folder: Path | None = None) -> ProblemSet:
    """Read every source and put the problems of a run together; raises SourceError, ConfigError or Transient.

    The rows lie in temporary files on the disk of `folder` (see RowFile).
    """
    building = _Building(config, folder)
    made = building.made
    for name, source in config.benchmarks.items():
        read = building.read(source, name)
        building.add(read, read.distinct, split=ProblemSplit.TEST, name=name, benchmark=name)
    held_out = HeldOut(
        made.problems,
        ngram_words=config.ngram_words,
        common_ngram_problems=config.common_ngram_problems,
        min_shared_share=config.min_shared_share,
    )
    train = building.read(config.source, "train")
    sft = building.decontaminated(train, held_out)
    if config.rl_source is None:
        rl_source = train
        order = sft[random_stream("order", config.seed, 0).permutation(len(sft))]
        num_rl = round(config.rl_share * len(order))
        rl, sft = order[:num_rl], order[num_rl:]
    else:
        rl_source = building.read(config.rl_source, "rl")
        taught = building.drop_taught(rl_source, train, sft)
        free = building.decontaminated(rl_source, held_out)
        rl = free[~np.isin(free, taught)]
    for split, read, chosen in ((ProblemSplit.SFT, train, sft), (ProblemSplit.RL, rl_source, rl)):
        if not len(chosen):
            raise SourceError(
                f"no problems are left for split {split} ({dict(made.drops)}); give problems.source and "
                "problems.rl_source different problems, or change problems.rl_share"
            )
        building.add(read, chosen, split=split, name=split, benchmark=None)
    return made


class _Read(NamedTuple):
    """All problems of a source, and the places of those that repeat none before them, in order."""

    source: SourceConfig
    name: str
    rows: RowFile[SourceProblem]
    digests: Digests
    distinct: Places


class _Building:
    """A problem set at work."""

    def __init__(self, config: ProblemsConfig, folder: Path | None) -> None:
        self._config, self._folder = config, folder
        self.made = ProblemSet(RowFile(folder), RowFile(folder), RowFile(folder), RowFile(folder), RowFile(folder), [])
        if doubt := doubtful_break(config.instruction):
            self.made.notes.append(f"problems.instruction has {doubt}")

    def read(self, source: SourceConfig, name: str) -> _Read:
        """Read a source; rows that cannot be used and rows that repeat an earlier one are listed."""
        made, rows, texts = self.made, RowFile[SourceProblem](self._folder), DigestList()
        unreadable, doubtful = FirstOnes[UnreadableAnswer](), FirstOnes[SourceProblem]()
        for found in source_rows(source, name=name, seed=self._config.seed):
            if isinstance(found, UnreadableAnswer):
                unreadable.add(found)
                made.unreadable.append(found)
                made.dropped.append(_unreadable_row(found))
                continue
            if found.doubt:
                doubtful.add(found)
            texts.add(normalise(found.prompt))
            rows.append(found._replace(prompt=found.prompt.strip(), answer=normalise(found.answer)))
        digests = texts.array()
        first = first_of_each(digests)
        repeats = first != np.arange(len(first))
        repeated = ((rows[first[place]], rows[place]) for place in np.flatnonzero(repeats))
        conflicts = self._drop_repeated(repeated, len(rows), name=name, same="duplicate")
        made.notes.extend(source_notes(name, len(rows), unreadable, conflicts, doubtful))
        return _Read(source, name, rows, digests, np.flatnonzero(~repeats))

    def decontaminated(self, read: _Read, held_out: HeldOut) -> Places:
        """The distinct problems that share nothing with a benchmark; raises SourceError if none is left."""
        made, clean = self.made, np.zeros(len(read.distinct), dtype=bool)
        problems = RowsAt(read.rows, read.distinct)
        for place, shared in enumerate(held_out.find(problems, whole_texts=read.source.made_by_a_program)):
            clean[place] = shared is None
            if shared is not None:
                made.removed.append(shared)
                made.dropped.append(_removed_row(shared, read.name))
        if not clean.any():
            last = made.removed[-1]
            raise SourceError(
                f"no training problems are left of {len(problems)}: each stands in a benchmark as well, or shares "
                f"words with one (the last with {last.benchmark_problem_id}: {last.shared!r:.100}); use another source "
                "or other benchmarks, or raise problems.ngram_words or problems.min_shared_share"
            )
        free: Places = read.distinct[clean]
        return free

    def drop_taught(self, rl: _Read, train: _Read, sft: Places) -> Places:
        """The distinct problems of the source for RL that are among the warm-up's, which are listed as dropped."""
        first = first_of_each(np.concatenate([train.digests[sft], rl.digests[rl.distinct]]))[len(sft) :]
        among = np.flatnonzero(first < len(sft))
        taught = rl.distinct[among]
        repeated = ((train.rows[kept], rl.rows[place]) for kept, place in zip(sft[first[among]], taught, strict=True))
        conflicts = self._drop_repeated(repeated, len(rl.distinct), name="rl", same=TAUGHT)
        self.made.notes.extend(
            conflict_note("rl", conflicts, num_rows=len(rl.distinct), earlier="a row of problems.source")
        )
        return taught

    def add(self, read: _Read, chosen: Places, *, split: ProblemSplit, name: str, benchmark: str | None) -> None:
        """Put problems of a source into a split, in the order that is given."""
        for place in chosen:
            problem = _problem(read.rows[place], read.source, self._config, split=split, name=name, benchmark=benchmark)
            self.made.problems.append(problem)

    def _drop_repeated(
        self, repeated: Iterator[Repeated], num_rows: int, *, name: str, same: str
    ) -> FirstOnes[ConflictingAnswer]:
        """List rows that repeat one that is kept; raises SourceError if too many contradict it."""
        conflicts = FirstOnes[ConflictingAnswer]()
        while some := list(islice(repeated, REPEATED_AT_ONCE)):
            for (kept, row), conflict in zip(some, find_conflicts(some), strict=True):
                self.made.dropped.append(_repeated_row(row, kept=kept, conflict=conflict, name=name, same=same))
                if conflict is not None:
                    conflicts.add(conflict)
                    self.made.conflicts.append(conflict)
        refuse_conflicts(conflicts, num_rows=num_rows, most=self._config.max_conflict_share)
        return conflicts


def _row(reason: str, *, name: str, source: str, prompt: str, detail: str) -> DroppedRow:
    return DroppedRow(
        stage="problems",
        reason=reason,
        problem_id=problem_id(name, normalise(prompt)),
        source=source,
        prompt=prompt,
        detail=detail,
    )


def _unreadable_row(row: UnreadableAnswer) -> DroppedRow:
    return DroppedRow(
        stage="problems",
        reason="unreadable_answer",
        problem_id=None,
        source=row.where,
        prompt=None,
        detail=row.reason,
    )


def _repeated_row(
    row: SourceProblem, *, kept: SourceProblem, conflict: ConflictingAnswer | None, name: str, same: str
) -> DroppedRow:
    warm_up = f"{problem_id(ProblemSplit.SFT, normalise(kept.prompt))}, " if same == TAUGHT else ""
    reason, detail = same, f"the same as {warm_up}{kept.source}"
    if conflict is not None:
        reason, detail = "conflict", f"answer {row.answer}; {kept.source} has {kept.answer}, which is kept"
    return _row(reason, name=name, source=row.source, prompt=row.prompt, detail=detail)


def _removed_row(row: RemovedProblem, name: str) -> DroppedRow:
    reason = "contaminated" if row.match == "text" else "contaminated_ngram"
    detail = f"shares with {row.benchmark_problem_id}: {row.shared_text}"
    return _row(reason, name=name, source=row.source, prompt=row.prompt, detail=detail)


def _problem(
    found: SourceProblem,
    source: SourceConfig,
    config: ProblemsConfig,
    *,
    split: ProblemSplit,
    name: str,
    benchmark: str | None,
) -> Problem:
    return Problem(
        problem_id=problem_id(name, normalise(found.prompt)),
        prompt=asked(found.prompt, instruction=config.instruction),
        answer=found.answer,
        difficulty=found.difficulty,
        split=split,
        benchmark=benchmark,
        source=found.source,
        instruction=config.instruction,
        verifier=source.verifier,
        task=found.task,
        details=found.details,
    )
