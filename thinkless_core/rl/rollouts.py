"""What is sampled and what it earned: the types between sampling and training.

SampleRequest -> (Sampler) -> SampledCompletion -> Rollout -> (reward) -> ScoredRollout -> (advantage) -> PolicyBatch.
Each stage has its own type, so that a reward is never mistaken for an advantage.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.problems import Problem


@dataclass(frozen=True)
class Rollout:
    """One sampled answer to one problem; `mode` comes from the id of completion token 0 alone."""

    problem: Problem
    sample: int
    """Index within the group."""
    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    completion: str
    finish_reason: FinishReason
    mode: Mode | None
    forced: bool = False
    """Whether token 0 was given and not sampled."""
    assigned_probability: float | None = None
    """With which a forced mode was drawn, where the loss corrects for it (thinkless_core/rl/mode_assignment.py)."""
    sampler_logprobs: tuple[float, ...] = ()
    """What the sampler says about the last tokens, where it does; compared with the trainer's, and never trained on."""


@dataclass(frozen=True)
class ScoredRollout:
    """A rollout with its verdict and reward."""

    rollout: Rollout
    correct: bool
    fake_short: bool
    reward: float
