"""What is sampled and what it earned: the types between sampling and training.

SampleRequest -> (Sampler) -> SampledCompletion -> Rollout -> (reward) -> ScoredRollout -> (advantage) -> PolicyBatch.
Each stage has its own type, so that a reward is never mistaken for an advantage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.mode import Mode
from schemas.records import FinishReason, Problem


@dataclass(frozen=True)
class SampleRequest:
    """One completion to be sampled."""

    prompt_ids: tuple[int, ...]
    stream: tuple[str | int, ...]
    """Names the random stream of this completion; it alone decides the draws, whatever is sampled beside it."""
    forced_id: int | None = None
    """Token 0, where the mode is forced; it is part of the completion like a sampled one."""


@dataclass(frozen=True)
class SampledCompletion:
    """What a sampler returns for one request: generated ids (end token included, if it came) and why it ended."""

    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    logprobs: tuple[float, ...] = ()
    """log pi of the last tokens (all but a forced one) as the sampler computed it; empty where it does not tell."""


class Sampler(Protocol):
    """Samples completions from the policy as it is now."""

    def sample(
        self,
        requests: Sequence[SampleRequest],
        *,
        max_new_tokens: int,
        temperature: float,
        top_p: float = 1.0,
    ) -> list[SampledCompletion]:
        """One completion per request, in the order of the requests."""
        ...


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
    """With which a forced mode was drawn, where the loss corrects for it (thinkless_core/mode_assignment.py)."""
    sampler_logprobs: tuple[float, ...] = ()
    """What the sampler says about the last tokens, where it does; compared with the trainer's, and never trained on."""


@dataclass(frozen=True)
class ScoredRollout:
    """A rollout with its verdict and reward."""

    rollout: Rollout
    correct: bool
    fake_short: bool
    reward: float
