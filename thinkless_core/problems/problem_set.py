"""From sources to the problems of a run: normalised, deduplicated, decontaminated, split.

benchmarks + training source -> normalise text -> drop duplicates -> drop what a benchmark also holds -> sft | rl | test
Every dropped problem is counted by reason; what a benchmark holds and answers that cannot be read are listed too.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from schemas.configs.problems import ProblemsConfig
from schemas.configs.source import SourceConfig, SourceProblem
from schemas.errors import SourceError
from schemas.records.problems import Problem, ProblemSplit
from schemas.records.removed_problems import RemovedProblem
from schemas.records.unreadable_answers import UnreadableAnswer
from thinkless_core.problems.contamination import HeldOut
from thinkless_core.problems.problem_sources import read_source
from thinkless_core.seeding import epoch_order


@dataclass(frozen=True)
class ProblemSet:
    """All problems of a run, and what was left out: how many by reason, and which."""

    problems: tuple[Problem, ...]
    drops: dict[str, int]
    removed: tuple[RemovedProblem, ...]
    """Training problems that a benchmark holds, whole or in part."""
    unreadable: tuple[UnreadableAnswer, ...]


def normalise(text: str) -> str:
    """One spelling per text: Unicode NFC, runs of white space as one space, none at the ends."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).strip()


def problem_id(name: str, question: str) -> str:
    """A stable identity: its split or benchmark, and a hash of its text, without the instruction."""
    return f"{name}-{hashlib.sha256(question.encode()).hexdigest()[:12]}"


def asked(question: str, *, instruction: str) -> str:
    """The user's turn: the question and, on lines of its own below it, the instruction."""
    return f"{question}\n{instruction}" if instruction else question


def build_problem_set(config: ProblemsConfig) -> ProblemSet:
    """Read every source and put the problems of a run together; raises SourceError, ConfigError or Transient."""
    drops: Counter[str] = Counter(duplicate=0, contaminated=0, contaminated_ngram=0, unreadable_answer=0)
    unreadable: list[UnreadableAnswer] = []
    removed: list[RemovedProblem] = []
    problems: list[Problem] = []

    def distinct(source: SourceConfig, name: str) -> list[SourceProblem]:
        read = read_source(source, name=name, seed=config.seed)
        unreadable.extend(read.unreadable)
        drops["unreadable_answer"] += len(read.unreadable)
        return _distinct(read.problems, drops)

    for name, source in config.benchmarks.items():
        kept = distinct(source, name)
        problems.extend(_problem(p, source, config, split=ProblemSplit.TEST, name=name, benchmark=name) for p in kept)
    held_out = HeldOut(
        problems,
        ngram_words=config.ngram_words,
        common_ngram_problems=config.common_ngram_problems,
        min_shared_share=config.min_shared_share,
    )
    training = _clean(distinct(config.source, "train"), held_out, drops, removed)
    if config.rl_source is None:
        order = [training[i] for i in epoch_order(len(training), seed=config.seed, epoch=0)]
        num_rl = round(config.rl_share * len(order))
        rl, sft = order[:num_rl], order[num_rl:]
    else:
        sft, taught = training, {p.prompt for p in training}
        candidates = distinct(config.rl_source, "rl")
        rl = [p for p in _clean(candidates, held_out, drops, removed) if p.prompt not in taught]
        drops["rl_problem_taught_in_sft"] = sum(p.prompt in taught for p in candidates)
    rl_source = config.rl_source or config.source
    for split, origin, chosen in ((ProblemSplit.SFT, config.source, sft), (ProblemSplit.RL, rl_source, rl)):
        if not chosen:
            raise SourceError(
                f"no problems are left for split {split} ({dict(drops)}); give problems.source and "
                "problems.rl_source different problems, or change problems.rl_share"
            )
        problems.extend(_problem(p, origin, config, split=split, name=split, benchmark=None) for p in chosen)
    return ProblemSet(tuple(problems), dict(drops), tuple(removed), tuple(unreadable))


def _clean(
    problems: Sequence[SourceProblem], held_out: HeldOut, drops: Counter[str], removed: list[RemovedProblem]
) -> list[SourceProblem]:
    """Problems that share nothing with a benchmark; raises SourceError if none is left."""
    clean = []
    for p, found in zip(problems, held_out.find([(p.prompt, p.source) for p in problems]), strict=True):
        if found is None:
            clean.append(p)
        else:
            removed.append(found)
            drops["contaminated" if found.match == "text" else "contaminated_ngram"] += 1
    if not clean:
        last = removed[-1]
        raise SourceError(
            f"no training problems are left of {len(problems)}: each stands in a benchmark as well, or shares words "
            f"with one (the last with {last.benchmark_problem_id}: {last.shared!r:.100}); use another source or other "
            "benchmarks, or raise problems.ngram_words or problems.min_shared_share"
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
        problem_id=problem_id(name, found.prompt),
        prompt=asked(found.prompt, instruction=config.instruction),
        answer=found.answer,
        difficulty=found.difficulty,
        split=split,
        benchmark=benchmark,
        source=found.source,
        instruction=config.instruction,
        verifier=source.verifier,
    )
