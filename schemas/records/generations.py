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
    """Id of the row."""
    problem_id: str
    """Id of the problem (table `problems`)."""
    prompt: str
    """The user's turn, as in table `problems`."""
    mode: Mode
    """`think` or `short`."""
    completion: str
    """Whole text, control token first."""
    answer: str | None
    """Final value extracted from the completion; null if none was found (a truncated one has none)."""
    num_tokens: int
    """Generated tokens, control and end token included; the prompt does not count."""
    finish_reason: FinishReason
    """`stop`: it ended by itself; `length`: it ran into the limit."""
    truncated: bool
    """Whether it ran into the token limit."""
    correct: bool
    """Verdict of the verifier that decides; a truncated answer is wrong."""
    teacher: str
    """Kind of the teacher that answered."""
