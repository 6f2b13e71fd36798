"""Table `pairs`: both sides of a problem."""

from __future__ import annotations

from typing import Literal

from schemas.base import Record


class Pair(Record):
    """One problem with both sides; SFT trains on them as two independent samples."""

    TABLE = "pairs"
    FILE = "pairs.parquet"

    problem_id: str
    prompt: str
    answer: str
    think_completion: str
    short_completion: str
    think_tokens: int
    short_tokens: int
    think_truncated: bool
    short_truncated: bool
    split: Literal["train", "validation"]
    difficulty: int | None
