"""From sources to the problems of a run: normalised, deduplicated, decontaminated, split.

benchmarks + training source -> drop duplicates -> drop what a benchmark also holds -> sft | rl | test
Every row that is dropped is listed with its reason; what a benchmark holds and conflicts are listed with more.

A problem is known by its normalised text, which its id is made from; what is asked is the text as its source has it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from schemas.broken_escapes import doubtful_break
from schemas.configs.problems import ProblemsConfig
from schemas.configs.source import SourceConfig, SourceProblem
from schemas.errors import SourceError
from schemas.records.conflicting_answers import ConflictingAnswer
from schemas.records.dropped import DroppedRow
from schemas.records.problems import Problem, ProblemSplit
from schemas.records.removed_problems import RemovedProblem
from schemas.records.unreadable_answers import UnreadableAnswer
from thinkless_core.problems.conflicts import Repeated, conflict_text, find_conflicts, refuse_conflicts
from thinkless_core.problems.contamination import HeldOut
from thinkless_core.problems.problem_sources import SourceRead, read_source
from thinkless_core.seeding import epoch_order

TAUGHT = "rl_problem_taught_in_sft"
"""Reason of a drop: the problem of the source for RL is one of the warm-up's."""


@dataclass(frozen=True)
class ProblemSet:
    """All problems of a run, and every row that was left out."""

    problems: tuple[Problem, ...]
    dropped: tuple[DroppedRow, ...]
    removed: tuple[RemovedProblem, ...]
    """Training problems that a benchmark holds, whole or in part."""
    unreadable: tuple[UnreadableAnswer, ...]
    conflicts: tuple[ConflictingAnswer, ...] = ()
    notes: tuple[str, ...] = ()
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


def build_problem_set(config: ProblemsConfig) -> ProblemSet:
    """Read every source and put the problems of a run together; raises SourceError, ConfigError or Transient."""
    dropped: list[DroppedRow] = []
    unreadable: list[UnreadableAnswer] = []
    conflicts: list[ConflictingAnswer] = []
    removed: list[RemovedProblem] = []
    problems: list[Problem] = []
    doubt = doubtful_break(config.instruction)
    notes = [f"problems.instruction has {doubt}"] if doubt else []

    def drop_repeated(repeated: Sequence[Repeated], num_rows: int, *, name: str, same: str) -> list[ConflictingAnswer]:
        judged = find_conflicts(repeated)
        found = [conflict for conflict in judged if conflict is not None]
        refuse_conflicts(found, num_rows=num_rows, most=config.max_conflict_share)
        conflicts.extend(found)
        for (kept, row), conflict in zip(repeated, judged, strict=True):
            dropped.append(_repeated_row(row, kept=kept, conflict=conflict, name=name, same=same))
        return found

    def distinct(source: SourceConfig, name: str) -> dict[str, SourceProblem]:
        read = read_source(source, name=name, seed=config.seed)
        unreadable.extend(read.unreadable)
        dropped.extend(_unreadable_row(row) for row in read.unreadable)
        kept, repeated = _distinct(read.problems)
        found = drop_repeated(repeated, len(read.problems), name=name, same="duplicate")
        notes.extend(_notes(name, read, found))
        return kept

    for name, source in config.benchmarks.items():
        kept = distinct(source, name).values()
        problems.extend(_problem(p, source, config, split=ProblemSplit.TEST, name=name, benchmark=name) for p in kept)
    held_out = HeldOut(
        problems,
        ngram_words=config.ngram_words,
        common_ngram_problems=config.common_ngram_problems,
        min_shared_share=config.min_shared_share,
    )

    def clean(source: SourceConfig, candidates: Sequence[SourceProblem], name: str) -> list[SourceProblem]:
        free, shared = _decontaminated(source, candidates, held_out)
        removed.extend(shared)
        dropped.extend(_removed_row(row, name) for row in shared)
        return free

    training = clean(config.source, [*distinct(config.source, "train").values()], "train")
    if config.rl_source is None:
        order = [training[i] for i in epoch_order(len(training), seed=config.seed, epoch=0)]
        num_rl = round(config.rl_share * len(order))
        rl, sft = order[:num_rl], order[num_rl:]
    else:
        sft, taught = training, {normalise(p.prompt): p for p in training}
        candidates = distinct(config.rl_source, "rl")
        repeated = [(taught[text], p) for text, p in candidates.items() if text in taught]
        found = drop_repeated(repeated, len(candidates), name="rl", same=TAUGHT)
        notes.extend(_conflict_note("rl", found, num_rows=len(candidates), earlier="a row of problems.source"))
        free = clean(config.rl_source, [*candidates.values()], "rl")
        rl = [p for p in free if normalise(p.prompt) not in taught]
    rl_source = config.rl_source or config.source
    for split, origin, chosen in ((ProblemSplit.SFT, config.source, sft), (ProblemSplit.RL, rl_source, rl)):
        if not chosen:
            drops = dict(Counter(row.reason for row in dropped))
            raise SourceError(
                f"no problems are left for split {split} ({drops}); give problems.source and "
                "problems.rl_source different problems, or change problems.rl_share"
            )
        problems.extend(_problem(p, origin, config, split=split, name=split, benchmark=None) for p in chosen)
    return ProblemSet(
        tuple(problems), tuple(dropped), tuple(removed), tuple(unreadable), tuple(conflicts), tuple(notes)
    )


def _decontaminated(
    source: SourceConfig, problems: Sequence[SourceProblem], held_out: HeldOut
) -> tuple[list[SourceProblem], list[RemovedProblem]]:
    """Problems that share nothing with a benchmark, and the others; raises SourceError if none is left."""
    found = held_out.find([(p.prompt, p.source) for p in problems], whole_texts=source.made_by_a_program)
    clean = [p for p, shared in zip(problems, found, strict=True) if shared is None]
    removed = [shared for shared in found if shared is not None]
    if not clean:
        last = removed[-1]
        raise SourceError(
            f"no training problems are left of {len(problems)}: each stands in a benchmark as well, or shares words "
            f"with one (the last with {last.benchmark_problem_id}: {last.shared!r:.100}); use another source or other "
            "benchmarks, or raise problems.ngram_words or problems.min_shared_share"
        )
    return clean, removed


def _distinct(raw: Sequence[SourceProblem]) -> tuple[dict[str, SourceProblem], list[Repeated]]:
    """(normalised text -> the first problem of that text, every other problem beside the first one of its text)."""
    kept: dict[str, SourceProblem] = {}
    repeated = []
    for p in raw:
        text = normalise(p.prompt)
        own = p._replace(prompt=p.prompt.strip(), answer=normalise(p.answer))
        first = kept.setdefault(text, own)
        if first is not own:
            repeated.append((first, own))
    return kept, repeated


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


def _notes(name: str, read: SourceRead, conflicts: Sequence[ConflictingAnswer]) -> Iterator[str]:
    """What was dropped of a source, and what looks damaged in it; a line for each kind."""
    if read.unreadable:
        first = read.unreadable[0]
        yield (
            f"{name}: {len(read.unreadable)} of {len(read.unreadable) + len(read.problems)} rows cannot be used and "
            f"are dropped, listed in table unreadable_answers; the first is {first.where}: {first.reason}"
        )
    yield from _conflict_note(name, conflicts, num_rows=len(read.problems), earlier="an earlier row")
    doubtful = [p for p in read.problems if p.doubt]
    if doubtful:
        yield (
            f"{name}: {len(doubtful)} of {len(read.problems)} problems look damaged; the first is "
            f"{doubtful[0].source}: {doubtful[0].doubt}; write the backslash twice in JSON"
        )


def _conflict_note(name: str, conflicts: Sequence[ConflictingAnswer], *, num_rows: int, earlier: str) -> Iterator[str]:
    if conflicts:
        yield (
            f"{name}: {len(conflicts)} of {num_rows} rows contradict {earlier} of the same question and are dropped, "
            f"listed in table conflicting_answers; the first is {conflict_text(conflicts[0])}"
        )


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
