"""The types between sampling and training, from a rollout to its reward.

SampleRequest -> (Sampler) -> SampledCompletion -> Rollout -> (verdict) -> JudgedRollout -> (reward) -> ScoredRollout
-> (advantage) -> PolicyBatch. Each stage has its own type, so that a reward is never mistaken for an advantage.
"""

from __future__ import annotations

from dataclasses import dataclass

from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.problems import Problem
from thinkless_core.grading.verdict import Verdict


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
    """Probability that a forced mode was drawn with, if the loss corrects for it (see
    thinkless_core/rl/mode_assignment.py)."""
    sampler_logprobs: tuple[float, ...] = ()
    """The sampler's own log-probabilities of the last tokens, if it gives them; compared with the trainer's, and never
    trained on."""


@dataclass(frozen=True)
class JudgedRollout:
    """A rollout with its verdict: what a reward sees."""

    rollout: Rollout
    verdict: Verdict
    fake_short: bool
    """Whether a short completion hides a chain of thought."""

    @property
    def problem(self) -> Problem:
        """The problem that was asked."""
        return self.rollout.problem

    @property
    def mode(self) -> Mode | None:
        """The mode that token 0 says; None means malformed."""
        return self.rollout.mode

    @property
    def correct(self) -> bool:
        """Whether the verdict is `correct`."""
        return self.verdict.correct

    @property
    def num_tokens(self) -> int:
        """Length of the completion, control token included."""
        return len(self.rollout.completion_ids)


@dataclass(frozen=True)
class ScoredRollout(JudgedRollout):
    """A judged rollout with its reward."""

    reward: float
