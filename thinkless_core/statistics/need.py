"""Where thinking was needed: forced answers by task and level -> how often the free policy thought there.

completions of one model in three modes -> levels -> the easy ones (short will do) and the hard ones (only thought will)
A level is what a task calls one; problems without a task are grouped by difficulty.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from schemas.mode import EvalMode, Mode
from schemas.records.eval_completions import EvalCompletion

EASY_ACCURACY = 0.9
"""A level is easy if a forced short answer is right at least this often."""
HARD_RATIO = 0.5
"""A level is hard if a forced short answer is right at most this many times as often as a forced think answer."""


@dataclass(frozen=True)
class Level:
    """One level of one task, under one policy."""

    name: str
    num_answers: int
    """In mode auto."""
    num_problems: int
    think_share: float
    """Of the answers in mode auto."""
    short_accuracy: float
    think_accuracy: float

    @property
    def is_easy(self) -> bool:
        """A short answer will do."""
        return self.short_accuracy >= EASY_ACCURACY

    @property
    def is_hard(self) -> bool:
        """Only thought will do, as far as anything does."""
        return self.think_accuracy > 0 and self.short_accuracy <= HARD_RATIO * self.think_accuracy


@dataclass(frozen=True)
class ThinkShare:
    """How often a policy thought on some levels."""

    levels: tuple[Level, ...]

    @property
    def mean(self) -> float:
        """Over all answers."""
        return math.fsum(level.think_share * level.num_answers for level in self.levels) / sum(
            level.num_answers for level in self.levels
        )

    @property
    def num_problems(self) -> int:
        """Of all levels."""
        return sum(level.num_problems for level in self.levels)

    def __str__(self) -> str:
        """Such as `needle_haystack 1 4%, products 3 98%`."""
        return ", ".join(f"{level.name} {level.think_share:.0%}" for level in self.levels)


@dataclass(frozen=True)
class ChoiceByNeed:
    """How often a policy thought where it need not, and where it must; None if there is no such level."""

    easy: ThinkShare | None
    hard: ThinkShare | None


def choice_by_need(completions: Iterable[EvalCompletion], benchmark: str) -> ChoiceByNeed:
    """The easy and the hard levels of a benchmark; `completions` are one model's in all modes."""
    found = levels_of(completions, benchmark)
    easy = tuple(level for level in found if level.is_easy)
    hard = tuple(level for level in found if level.is_hard)
    return ChoiceByNeed(ThinkShare(easy) if easy else None, ThinkShare(hard) if hard else None)


def levels_of(completions: Iterable[EvalCompletion], benchmark: str) -> list[Level]:
    """The levels of a benchmark that were answered in all three modes, in the order of their names."""
    cells: dict[tuple[str, str], dict[EvalMode, list[EvalCompletion]]] = {}
    for row in completions:
        if row.benchmark == benchmark:
            kind = (row.task or "difficulty", "" if row.difficulty is None else str(row.difficulty))
            cells.setdefault(kind, {}).setdefault(row.mode, []).append(row)
    return [
        Level(
            name=" ".join(kind).strip(),
            num_answers=len(by_mode[EvalMode.AUTO]),
            num_problems=len({row.problem_id for row in by_mode[EvalMode.AUTO]}),
            think_share=_share([row.chosen_mode is Mode.THINK for row in by_mode[EvalMode.AUTO]]),
            short_accuracy=_share([row.correct for row in by_mode[EvalMode.SHORT]]),
            think_accuracy=_share([row.correct for row in by_mode[EvalMode.THINK]]),
        )
        for kind, by_mode in sorted(cells.items())
        if len(by_mode) == len(EvalMode)
    ]


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags)
