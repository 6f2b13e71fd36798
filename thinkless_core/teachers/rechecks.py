"""How often a long answer re-checks itself: drawn for each problem, by the weights of its teacher."""

from __future__ import annotations

from collections.abc import Sequence

from thinkless_core.seeding import random_stream


def num_rechecks(weights: Sequence[float], *, seed: int, problem_id: str) -> int:
    """0, 1, 2, ... re-checks with these relative frequencies; always the same for one problem and seed."""
    stream = random_stream("rechecks", seed, problem_id)
    return int(stream.choice(len(weights), p=[w / sum(weights) for w in weights]))
