"""Table `pairs`: both sides of a problem."""

from __future__ import annotations

from typing import Literal

from schemas.base import Record


class Pair(Record):
    """One problem with both sides; SFT trains on them as two independent samples."""

    TABLE = "pairs"
    FILE = "pairs.parquet"

    problem_id: str
    """Id of the problem (table `problems`)."""
    prompt: str
    """The user's turn, as in table `problems`."""
    answer: str
    """The reference answer."""
    think_completion: str
    """The long answer, control token included."""
    short_completion: str
    """The short answer, control token included."""
    think_tokens: int
    """Tokens of the long answer."""
    short_tokens: int
    """Tokens of the short answer."""
    think_truncated: bool
    """Whether the long answer ran into the limit."""
    short_truncated: bool
    """Whether the short answer ran into the limit."""
    split: Literal["train", "validation"]
    """`train` or `validation`."""
    difficulty: int | None
    """Difficulty or level, if the source gives one."""
