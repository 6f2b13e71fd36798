"""From two teachers' generations to pairs: which problems SFT learns from, and why the others do not count.

think generations x short generations -> rules in order (first that applies decides) -> pairs, drops by reason
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from schemas.configs.pairs import PairsConfig
from schemas.errors import SourceError
from schemas.records import Generation, Pair, Problem
from thinkless_core.rendering import render_completion
from thinkless_core.seeding import epoch_order


@dataclass(frozen=True)
class PairSet:
    """Pairs, and the rows each rule touched."""

    pairs: tuple[Pair, ...]
    touched: dict[str, int]


def build_pairs(
    problems: Sequence[Problem],
    *,
    think: Sequence[Generation],
    short: Sequence[Generation],
    tokenizer: PreTrainedTokenizerBase,
    config: PairsConfig,
) -> PairSet:
    """Join both sides by problem and apply the rules; token counts are the student's.

    Raises SourceError where no pair is left.
    """
    thinks = {g.problem_id: g for g in think}
    shorts = {g.problem_id: g for g in short}
    touched: Counter[str] = Counter()
    kept: list[tuple[Problem, Generation, Generation]] = []
    for problem in problems:
        sides = thinks.get(problem.problem_id), shorts.get(problem.problem_id)
        if sides[0] is None or sides[1] is None:
            touched["missing_side"] += 1
            continue
        rule = _dropped_by(sides[0], sides[1], config=config, touched=touched)
        if rule is None:
            kept.append((problem, sides[0], sides[1]))
    if not kept:
        raise SourceError(
            f"no pair is left of {len(problems)} problems (rules touched {dict(touched)}); "
            "loosen pairs.truncated or pairs.incorrect, or raise the teachers' max_tokens"
        )
    num_validation = round(config.validation_share * len(kept))
    held_out = set(epoch_order(len(kept), seed=config.seed, epoch=0)[:num_validation])
    pairs = tuple(
        Pair(
            problem_id=problem.problem_id,
            prompt=problem.prompt,
            answer=problem.answer,
            think_completion=t.completion,
            short_completion=s.completion,
            think_tokens=len(render_completion(tokenizer, t.completion, finished=not t.truncated)),
            short_tokens=len(render_completion(tokenizer, s.completion, finished=not s.truncated)),
            think_truncated=t.truncated,
            short_truncated=s.truncated,
            split="validation" if i in held_out else "train",
            difficulty=problem.difficulty,
        )
        for i, (problem, t, s) in enumerate(kept)
    )
    return PairSet(pairs, dict(touched))


def _dropped_by(think: Generation, short: Generation, *, config: PairsConfig, touched: Counter[str]) -> str | None:
    """The rule that drops this pair, or None; every rule that applies is counted, dropped or kept."""
    dropped = None
    for side, generation in (("think", think), ("short", short)):
        if generation.truncated:
            rule = f"{side}_truncated"
            drop = config.truncated == "drop"
        elif not generation.correct:
            rule = f"{side}_incorrect"
            drop = config.incorrect == "drop"
        else:
            continue
        touched[f"{rule}_{'dropped' if drop else 'kept'}"] += 1
        if drop:
            dropped = dropped or rule
    return dropped
