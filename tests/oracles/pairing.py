"""Pairs by a loop over problems: slow, in memory, and easy to believe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from schemas.configs.pairs import PairsConfig
from schemas.records.dropped import DroppedRow
from schemas.records.generations import Generation
from schemas.records.pairs import Pair
from schemas.records.problems import Problem
from thinkless_core.seeding import epoch_order


class LoopedPairs(NamedTuple):
    """Pairs in the order of the problems, the rows each rule touched, and why the other problems have no pair."""

    pairs: list[Pair]
    touched: dict[str, int]
    dropped: list[DroppedRow]


def pairs_by_loop(
    problems: Sequence[Problem], *, think: Sequence[Generation], short: Sequence[Generation], config: PairsConfig
) -> LoopedPairs:
    """Join both sides by problem, apply the rules in words of the configuration, hold a share out."""
    touched: Counter[str] = Counter()
    kept = []
    dropped = []

    def leave_out(problem: Problem, reason: str, detail: str) -> None:
        dropped.append(
            DroppedRow(
                stage="pairs",
                reason=reason,
                problem_id=problem.problem_id,
                source=problem.source,
                prompt=problem.prompt,
                detail=detail,
            )
        )

    for problem in problems:
        t = [g for g in think if g.problem_id == problem.problem_id]
        s = [g for g in short if g.problem_id == problem.problem_id]
        if not t or not s:
            touched["missing_side"] += 1
            lacking = [f"no {side} answer" for side, rows in (("think", t), ("short", s)) if not rows]
            leave_out(problem, "missing_side", " and ".join(lacking))
            continue
        drop = False
        for side, generation in (("think", t[-1]), ("short", s[-1])):
            if generation.truncated:
                verb = "dropped" if config.truncated == "drop" else "kept"
                reason = f"{side}_truncated_{verb}"
                detail = f"the {side} answer was cut off after {generation.num_tokens} tokens"
            elif not generation.correct:
                verb = "dropped" if config.incorrect == "drop" else "kept"
                reason = f"{side}_incorrect_{verb}"
                detail = f"the {side} answer is not {problem.answer}"
            else:
                continue
            touched[reason] += 1
            if verb == "dropped":
                drop = True
                leave_out(problem, reason, detail)
        if not drop:
            kept.append((problem, t[-1], s[-1]))
    order = epoch_order(len(kept), seed=config.seed, epoch=0)
    held_out = order[: round(config.validation_share * len(kept))]
    pairs = [
        side_by_side(problem, think=t, short=s, held_out=number in held_out)
        for number, (problem, t, s) in enumerate(kept)
    ]
    return LoopedPairs(pairs, dict(touched), dropped)


def side_by_side(problem: Problem, *, think: Generation, short: Generation, held_out: bool) -> Pair:
    """One pair, field by field."""
    return Pair(
        problem_id=problem.problem_id,
        prompt=problem.prompt,
        answer=problem.answer,
        think_completion=think.completion,
        short_completion=short.completion,
        think_tokens=think.num_tokens,
        short_tokens=short.num_tokens,
        think_truncated=think.truncated,
        short_truncated=short.truncated,
        split="validation" if held_out else "train",
        difficulty=problem.difficulty,
    )
