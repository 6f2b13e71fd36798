"""Table `dropped`: rows that a stage left out."""

from __future__ import annotations

from schemas.base import Record


class DroppedRow(Record):
    """One row that one rule of one stage left out; table `drops` counts these rows, and rows that were only marked."""

    TABLE = "dropped"
    FILE = "dropped.parquet"

    stage: str
    """`problems`, `teach-think`, `teach-short`, `pairs` or `sft`."""
    reason: str
    """The rule, as in table `drops`."""
    problem_id: str | None
    """Id of the problem; if stage `problems` left it out, the id that it would have had (of a training problem `train-`
    and the hash of its text); null if it could not be read."""
    source: str
    """Where the row is from: a generator's name, or a file or data set and its row; of an answer, the teacher."""
    prompt: str | None
    """The problem; null if it could not be read."""
    detail: str
    """Why, in words; of an answer, what the teacher wrote."""
