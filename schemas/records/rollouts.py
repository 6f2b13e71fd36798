"""Table `rollouts`: completions sampled in RL, with their rewards."""

from __future__ import annotations

from schemas.base import Record
from schemas.finish_reason import FinishReason
from schemas.mode import Mode


class RolloutRecord(Record):
    """One scored rollout, logged for audit."""

    TABLE = "rollouts"
    FILE = "rollouts.parquet"

    rollout_id: str
    step: int
    problem_id: str
    difficulty: int | None
    sample: int
    """Index within the group of this prompt."""
    mode: Mode | None
    """From completion token 0; null if that is no control token (malformed)."""
    forced: bool = False
    """Whether token 0 was forced (by the objective or by the collapse guard) and not sampled."""
    completion: str
    num_tokens: int
    finish_reason: FinishReason
    correct: bool
    malformed: bool
    fake_short: bool
    """Short mode that hides a chain of thought; it gets no short bonus."""
    reward: float
    advantage: float
    task: str | None = None
    """Task of the problem, if its source has several."""
    score: float | None = None
    """What the verifier gave by degrees, 1 for a correct answer; 0 if it was not asked (truncated, malformed)."""
