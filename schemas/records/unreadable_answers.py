"""Table `unreadable_answers`: rows that cannot be used."""

from __future__ import annotations

from schemas.base import Record


class UnreadableAnswer(Record):
    """One row that was dropped: no answer can be extracted, or answer or problem are missing, no text, or damaged."""

    TABLE = "unreadable_answers"
    FILE = "unreadable_answers.parquet"

    where: str
    """File or data set, and row."""
    reason: str
    """Why, in words."""
