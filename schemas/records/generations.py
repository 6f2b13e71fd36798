"""Table `generations`: teachers' answers."""

from __future__ import annotations

from schemas.base import Record
from schemas.finish_reason import FinishReason
from schemas.mode import Mode


class Generation(Record):
    """One teacher's completion of one problem in one mode."""

    TABLE = "generations"
    FILE = "generations.parquet"

    generation_id: str
    problem_id: str
    prompt: str
    mode: Mode
    completion: str
    """Whole text, control token first."""
    answer: str | None
    """Final value extracted from the completion; null if none was found (a truncated one has none)."""
    num_tokens: int
    finish_reason: FinishReason
    truncated: bool
    correct: bool
    teacher: str
