"""Rows dropped because their answer could not be read."""

from __future__ import annotations

from schemas.base import Record


class UnreadableAnswer(Record):
    """One row that was dropped because its answer could not be extracted."""

    TABLE = "unreadable_answers"
    FILE = "unreadable_answers.parquet"

    where: str
    """File or data set, and row."""
    reason: str
