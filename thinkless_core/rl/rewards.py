"""What a rollout earns. One number per rollout of a group, from verdicts, modes and lengths.

JudgedRollouts of one group, settings of the step -> Reward -> a number each

The group is there, so a reward may compare its rollouts. This file imports no torch: a configuration is loaded
without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from pydantic import Field

from schemas.configs.reward import RewardConfig
from schemas.mode import Mode
from thinkless_core.rl.rollouts import JudgedRollout
from thinkless_core.rl.schedules import StepSettings

NO_DISCOUNT = "has no discount of thinking"


class Reward(RewardConfig):
    """What a rollout earns: 1 if it is right, else 0.

    A reward of your own says what it does otherwise, for one rollout (`reward`) or for a whole group (`rewards`):

        # my_rewards.py
        from pydantic import Field

        from thinkless_core.rl.rewards import Reward

        class LengthBonus(Reward):
            # A right answer earns 1, and up to `bonus` more, the shorter it is than the longest of its group.
            bonus: float = Field(0.1, ge=0)

            def rewards(self, group, *, step):
                longest = max(rollout.num_tokens for rollout in group)
                return [r.correct * (1 + self.bonus * (1 - r.num_tokens / longest)) for r in group]

    and is chosen in a profile:

        [rl.reward]
        name = "my_rewards.py:LengthBonus"
        bonus = 0.2
    """

    def rewards(self, group: Sequence[JudgedRollout], *, step: StepSettings) -> Sequence[float]:
        """What each rollout of a group earns, in their order."""
        return [self.reward(rollout, step=step) for rollout in group]

    def reward(self, rollout: JudgedRollout, *, step: StepSettings) -> float:
        """What one rollout earns."""
        return float(rollout.correct)

    def limits(self) -> tuple[float, float] | None:
        """The least, which a malformed rollout earns, and the most: the rollouts table is checked by them.

        None if they are not known.
        """
        return None


class Thinkless(Reward):
    """The paper's (Thinkless, arXiv 2505.13379, section 3.2).

        correct and short   1
        correct and think   1 - gamma
        wrong, either       -1

    Differs from the paper: a malformed completion (token 0 is no control token) earns -1, and a short completion that
    hides a chain of thought (fake short) is paid like a think one.
    """

    name: Literal["thinkless"] = "thinkless"

    def reward(self, rollout: JudgedRollout, *, step: StepSettings) -> float:
        """The table above."""
        if rollout.mode is None or not rollout.correct:
            return -1.0
        if rollout.mode is Mode.SHORT and not rollout.fake_short:
            return 1.0
        return 1.0 - step.gamma

    def limits(self) -> tuple[float, float]:
        """From wrong to right and short."""
        return -1.0, 1.0


class Correct(Reward):
    """1 if right, else 0."""

    unread: ClassVar[Mapping[str, str]] = {
        "gamma": NO_DISCOUNT,
        "short_max_tokens": "pays a short answer for being right alone",
    }
    name: Literal["correct"] = "correct"

    def limits(self) -> tuple[float, float]:
        """Wrong and right."""
        return 0.0, 1.0


class RightOrWrong(Reward):
    """1 if right, else -1."""

    unread: ClassVar[Mapping[str, str]] = {
        "gamma": NO_DISCOUNT,
        "short_max_tokens": "pays a short answer for being right alone",
    }
    name: Literal["right-or-wrong"] = "right-or-wrong"

    def reward(self, rollout: JudgedRollout, *, step: StepSettings) -> float:
        """Plus or minus 1."""
        return 1.0 if rollout.correct else -1.0

    def limits(self) -> tuple[float, float]:
        """Wrong and right."""
        return -1.0, 1.0


class ShortBonus(Reward):
    """1 if right, and `delta` if short, right or wrong (AdaptThink, arXiv 2505.13417); a fake short has no bonus."""

    unread: ClassVar[Mapping[str, str]] = {"gamma": NO_DISCOUNT}
    name: Literal["short-bonus"] = "short-bonus"
    delta: float = Field(0.05, ge=0, le=1)
    """What a short answer earns beside being right (paper: 0.05)."""

    def reward(self, rollout: JudgedRollout, *, step: StepSettings) -> float:
        """Being right, and a little for being short."""
        short = rollout.mode is Mode.SHORT and not rollout.fake_short
        return float(rollout.correct) + self.delta * short

    def limits(self) -> tuple[float, float]:
        """From wrong and long to right and short."""
        return 0.0, 1.0 + self.delta
