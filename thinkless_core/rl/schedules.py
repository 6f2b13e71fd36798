"""The settings of one RL step, where they change over the run.

RlConfig, step -> StepSettings: every setting that may be a schedule, as the plain number it is at that step.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas.configs.rl import RlConfig
from schemas.configs.schedule import at, is_scheduled

SCHEDULED = ("alpha", "gamma", "kl_coef", "temperature", "max_new_tokens")
"""Fields of RlConfig that may be a schedule."""


@dataclass(frozen=True)
class StepSettings:
    """What may change from step to step, as it is at one step."""

    step: int
    alpha: float
    gamma: float
    kl_coef: float
    temperature: float
    max_new_tokens: int


def settings_at(config: RlConfig, *, step: int) -> StepSettings:
    """The settings of step `step` (1-based): a function of the step alone, so the same before and after a crash."""
    alpha, gamma, kl_coef, temperature, max_new_tokens = (
        at(getattr(config, name), step=step, num_steps=config.steps) for name in SCHEDULED
    )
    return StepSettings(step, alpha, gamma, kl_coef, temperature, round(max_new_tokens))


def schedule_numbers(config: RlConfig, *, step: int) -> dict[str, float]:
    """Metrics `schedule/alpha`, ... of the settings that really move; the others stand in the configuration."""
    settings = settings_at(config, step=step)
    return {
        f"schedule/{name}": float(getattr(settings, name)) for name in SCHEDULED if is_scheduled(getattr(config, name))
    }
