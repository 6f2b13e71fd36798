"""Table `study_claims`: claims, as measured."""

from __future__ import annotations

from typing import Literal

from schemas.base import Record


class StudyClaim(Record):
    """One claim, as measured."""

    TABLE = "study_claims"
    FILE = "study_claims.parquet"

    study: str
    claim: str
    """Short name, such as `think-share-falls`."""
    statement: str
    """What is claimed, in a sentence with its threshold."""
    condition: str
    quantity: str
    """What `measured` is, with its unit."""
    measured: float
    low: float
    """Lower end of the 95% interval over seeds."""
    high: float
    num_seeds: int
    verdict: Literal["holds", "fails", "undecided"]
    note: str
    """Reason, if the verdict needs one."""
