"""The settings of one RL step, which may change over the run.

RlConfig, step -> StepSettings: every setting that may be a schedule, as the plain number it is at that step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from schemas.configs.rl import RlConfig
from schemas.configs.schedule import Schedule, at, is_scheduled


@dataclass(frozen=True)
class StepSettings:
    """The settings at one step; objectives and rewards see them."""

    number: int
    """Of the step, from 1."""
    num_steps: int
    gamma: float
    kl_coef: float
    temperature: float
    max_new_tokens: int
    baseline: Literal["mean", "mean_std"]

    def value(self, schedule: Schedule) -> float:
        """The value of another schedule at this step, such as an objective's own."""
        return at(schedule, step=self.number, num_steps=self.num_steps)


def settings_at(config: RlConfig, *, step: int) -> StepSettings:
    """The settings of step `step` (1-based): a function of the step alone, so the same before and after a crash."""

    def now(schedule: Schedule) -> float:
        return at(schedule, step=step, num_steps=config.steps)

    return StepSettings(
        number=step,
        num_steps=config.steps,
        gamma=now(config.gamma),
        kl_coef=now(config.kl_coef),
        temperature=now(config.temperature),
        max_new_tokens=round(now(config.max_new_tokens)),
        baseline=config.baseline,
    )


def schedule_numbers(config: RlConfig, *, settings: StepSettings) -> dict[str, float]:
    """Metrics `schedule/gamma`, ... of the settings that really move, those of objective and reward included."""
    numbers = {f"schedule/{name}": settings.value(value) for name, value in _schedules(config) if is_scheduled(value)}
    longest = "schedule/max_new_tokens"
    return numbers | ({longest: float(settings.max_new_tokens)} if longest in numbers else {})


def _schedules(config: RlConfig) -> Iterator[tuple[str, Schedule]]:
    """Name and value of every field that could be a schedule."""
    yield from config.objective
    yield from config.chosen_reward()
    yield from config
