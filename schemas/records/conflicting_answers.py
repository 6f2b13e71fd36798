"""Table `conflicting_answers`: rows that answer a question otherwise than an earlier row does."""

from __future__ import annotations

from schemas.base import Record


class ConflictingAnswer(Record):
    """One row that was dropped because an earlier row has the same question with another answer."""

    TABLE = "conflicting_answers"
    FILE = "conflicting_answers.parquet"

    prompt: str
    """The question that several rows have."""
    where: str
    """File or data set, and row."""
    answer: str
    """Answer of the row that was left out."""
    kept_where: str
    """The first row of the question, whose answer is kept."""
    kept_answer: str
    """Answer of the row that was kept, the first."""
