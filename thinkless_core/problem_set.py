"""From sources to the problems of a run: normalised, deduplicated, decontaminated, split.

benchmarks + training source -> normalise text -> drop duplicates -> drop what a benchmark also holds -> sft | rl | test
Every dropped problem is counted by reason.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.configs.problems import ProblemsConfig
from schemas.errors import SourceError
from schemas.records import Problem, ProblemSplit
from thinkless_core.problem_sources import SourceProblem, read_source
from thinkless_core.seeding import epoch_order


@dataclass(frozen=True)
class ProblemSet:
    """All problems of a run and how many were dropped, by reason."""

    problems: tuple[Problem, ...]
    drops: dict[str, int]


def normalise(text: str) -> str:
    """One spelling per text: Unicode NFC, runs of white space as one space, none at the ends."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).strip()


def problem_id(name: str, prompt: str) -> str:
    """A stable identity: the split or benchmark it stands in, and a hash of its text."""
    return f"{name}-{hashlib.sha256(prompt.encode()).hexdigest()[:12]}"


def build_problem_set(config: ProblemsConfig) -> ProblemSet:
    """Read every source and put the problems of a run together; raises SourceError or ConfigError."""
    drops: Counter[str] = Counter(duplicate=0, contaminated=0)
    problems: list[Problem] = []
    held_out: set[str] = set()
    for name, source in config.benchmarks.items():
        kept = _distinct(read_source(source, name=name, seed=config.seed), drops)
        held_out.update(p.prompt for p in kept)
        problems.extend(_problem(p, split=ProblemSplit.TEST, name=name, benchmark=name) for p in kept)
    training = _distinct(read_source(config.source, name="train", seed=config.seed), drops)
    clean = [p for p in training if p.prompt not in held_out]
    drops["contaminated"] += len(training) - len(clean)
    if not clean:
        raise SourceError(
            f"no training problems are left of {len(training)}: each stands in a benchmark as well; "
            "use another source or other benchmarks"
        )
    num_rl = round(config.rl_share * len(clean))
    for place, index in enumerate(epoch_order(len(clean), seed=config.seed, epoch=0)):
        split = ProblemSplit.RL if place < num_rl else ProblemSplit.SFT
        problems.append(_problem(clean[index], split=split, name="train", benchmark=None))
    return ProblemSet(tuple(problems), dict(drops))


def _distinct(raw: Sequence[SourceProblem], drops: Counter[str]) -> list[SourceProblem]:
    """Problems with normalised text, the first of each text kept."""
    by_text: dict[str, SourceProblem] = {}
    for p in raw:
        text = normalise(p.prompt)
        if text in by_text:
            drops["duplicate"] += 1
        else:
            by_text[text] = SourceProblem(text, normalise(p.answer), p.difficulty, p.source)
    return list(by_text.values())


def _problem(source: SourceProblem, *, split: ProblemSplit, name: str, benchmark: str | None) -> Problem:
    return Problem(
        problem_id=problem_id(name, source.prompt),
        prompt=source.prompt,
        answer=source.answer,
        difficulty=source.difficulty,
        split=split,
        benchmark=benchmark,
        source=source.source,
    )
