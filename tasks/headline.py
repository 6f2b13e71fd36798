"""One line of progress with the few numbers of a stage that fit on it.

all numbers of a step -> those of the stage's headline, the last known value of each -> `reward 0.31  think 43%  ...`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _short(value: float) -> str:
    return f"{value:.4g}"


def _count(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.0f}"


HEADLINES: Mapping[str, tuple[tuple[str, str, Callable[[float], str]], ...]] = {
    "rl": (
        ("reward_mean", "reward", _short),
        ("accuracy", "accuracy", _percent),
        ("think_share", "think", _percent),
        ("probe_p_think", "P(think)", _percent),
        ("mean_tokens", "tokens", _short),
        ("generated_tokens", "generated", _count),
    ),
    "sft": (
        ("loss", "loss", _short),
        ("validation_loss", "validation", _short),
    ),
}
"""By stage: metric, its word on the line, how it is written. Other stages show every number they give."""


class Headline:
    """The line of one stage; a number that is not measured at every step keeps its last value."""

    def __init__(self, label: str) -> None:
        self._rows = HEADLINES.get(label)
        self._latest: dict[str, float] = {}

    def update(self, numbers: Mapping[str, float]) -> str:
        """Take in a step's numbers; the line as it reads now."""
        self._latest |= numbers
        if self._rows is None:
            return "  ".join(f"{name} {_short(value)}" for name, value in self._latest.items())
        parts = [f"{word} {write(self._latest[name])}" for name, word, write in self._rows if name in self._latest]
        return "  ".join([*parts, *self._guard()])

    def _guard(self) -> list[str]:
        """What the collapse guard does; nothing while it does not act."""
        forced = self._latest.get("guard_forced_per_group", 0.0)
        if forced:
            return [f"guard forces {forced:.0f} per group"]
        return ["guard: a mode is lost"] if self._latest.get("guard_alarm") else []
