"""The headline of a stage: its main numbers on one line.

all numbers of a step -> those of the headline, each with its last known value -> `reward 0.31  think 43%  ...`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping


def percent(value: float) -> str:
    """A share, one decimal."""
    return f"{value:.1%}"


def short(value: float) -> str:
    """Four significant digits."""
    return f"{value:.4g}"


def _count(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.0f}"


HEADLINES: Mapping[str, tuple[tuple[str, str, Callable[[float], str]], ...]] = {
    "rl": (
        ("reward_mean", "reward", short),
        ("accuracy", "accuracy", percent),
        ("think_share", "think", percent),
        ("probe_p_think", "P(think)", percent),
        ("mean_tokens", "tokens", short),
        ("generated_tokens", "generated", _count),
    ),
    "sft": (
        ("tokenised", "tokenised", percent),
        ("loss", "loss", short),
        ("validation_loss", "validation", short),
    ),
}
"""Stage -> (metric, label, format) of each number. Stages without an entry show all their numbers."""

PREPARATION = "tokenised"
"""A number that is shown only while it comes."""


class Headline:
    """The headline of one stage; a number that is not measured at every step keeps its last value."""

    def __init__(self, label: str) -> None:
        self._rows = HEADLINES.get(label)
        self._latest: dict[str, float] = {}

    def update(self, numbers: Mapping[str, float]) -> str:
        """Add a step's numbers; returns the new line."""
        self._latest |= numbers
        if PREPARATION not in numbers:
            self._latest.pop(PREPARATION, None)
        if self._rows is None:
            return "  ".join(f"{name} {short(value)}" for name, value in self._latest.items())
        parts = [f"{word} {write(self._latest[name])}" for name, word, write in self._rows if name in self._latest]
        return "  ".join([*parts, *self._guard()])

    def _guard(self) -> list[str]:
        """The action of the collapse guard, if it takes one."""
        forced = self._latest.get("guard_forced_per_group", 0.0)
        if forced:
            return [f"guard forces {forced:.0f} per group"]
        return ["guard: a mode is lost"] if self._latest.get("guard_alarm") else []
