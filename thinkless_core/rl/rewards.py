"""What a rollout earns (Thinkless, arXiv 2505.13379, section 3.2).

    correct and short   1
    correct and think   1 - gamma
    wrong, either       -1
Differs from the paper: a malformed completion (token 0 is no control token) earns -1, and a short completion that
hides a chain of thought (fake short) earns no short bonus: it is paid like a think one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from schemas.mode import Mode


class Verdict(NamedTuple):
    """What a reward is given for."""

    mode: Mode | None
    """None means malformed."""
    correct: bool
    fake_short: bool


@dataclass(frozen=True)
class RewardTable:
    """The rewards, by mode and correctness."""

    gamma: float
    """Discount of thinking, in (0, 1)."""

    def reward(self, mode: Mode | None, *, correct: bool, fake_short: bool) -> float:
        """Reward of one rollout; `mode` None means malformed."""
        if mode is None or not correct:
            return -1.0
        if mode is Mode.SHORT and not fake_short:
            return 1.0
        return 1.0 - self.gamma
