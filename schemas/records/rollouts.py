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
    """Id of the row."""
    step: int
    """Step of the training."""
    problem_id: str
    """Id of the problem (table `problems`)."""
    difficulty: int | None
    """Difficulty or level, if the source gives one."""
    sample: int
    """Index within the group of this prompt."""
    mode: Mode | None
    """From completion token 0; null if that is no control token (malformed)."""
    forced: bool = False
    """Whether token 0 was forced (by the objective or by the collapse guard) and not sampled."""
    completion: str
    """Generated text, control token included."""
    num_tokens: int
    """Generated tokens, control and end token included; the prompt does not count."""
    finish_reason: FinishReason
    """`stop`: it ended by itself; `length`: it ran into the limit."""
    correct: bool
    """Verdict of the verifier that decides; a truncated answer is wrong."""
    malformed: bool
    """Whether token 0 is no control token."""
    fake_short: bool
    """Short mode that hides a chain of thought; it gets no short bonus."""
    reward: float
    """What it earned."""
    advantage: float
    """Its reward less what it is compared with."""
    task: str | None = None
    """Task of the problem, if its source has several."""
    score: float | None = None
    """What the verifier gave by degrees, 1 for a correct answer; 0 if it was not asked (truncated, malformed)."""
