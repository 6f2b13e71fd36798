"""From sources to the problems of a run: normalised, deduplicated, decontaminated, split.

benchmarks + training source -> normalise text -> drop duplicates -> drop what a benchmark also holds -> sft | rl | test
Every dropped problem is counted by reason.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence, Set
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
    training = _clean(_distinct(read_source(config.source, name="train", seed=config.seed), drops), held_out, drops)
    if config.rl_source is None:
        order = [training[i] for i in epoch_order(len(training), seed=config.seed, epoch=0)]
        num_rl = round(config.rl_share * len(order))
        rl, sft = order[:num_rl], order[num_rl:]
    else:
        sft, taught = training, {p.prompt for p in training}
        candidates = _distinct(read_source(config.rl_source, name="rl", seed=config.seed), drops)
        rl = [p for p in _clean(candidates, held_out, drops) if p.prompt not in taught]
        drops["rl_problem_taught_in_sft"] = sum(p.prompt in taught for p in candidates)
    for split, chosen in ((ProblemSplit.SFT, sft), (ProblemSplit.RL, rl)):
        if not chosen:
            raise SourceError(
                f"no problems are left for split {split} ({dict(drops)}); give problems.source and "
                "problems.rl_source different problems, or change problems.rl_share"
            )
        problems.extend(_problem(p, split=split, name=split, benchmark=None) for p in chosen)
    return ProblemSet(tuple(problems), dict(drops))


def _clean(problems: Sequence[SourceProblem], held_out: Set[str], drops: Counter[str]) -> list[SourceProblem]:
    """Problems that stand in no benchmark; raises SourceError where none is left."""
    clean = [p for p in problems if p.prompt not in held_out]
    drops["contaminated"] += len(problems) - len(clean)
    if not clean:
        raise SourceError(
            f"no training problems are left of {len(problems)}: each stands in a benchmark as well; "
            "use another source or other benchmarks"
        )
    return clean


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
