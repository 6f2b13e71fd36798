"""Table `study_claims`: measured claims."""

from __future__ import annotations

from typing import Literal

from schemas.base import Record


class StudyClaim(Record):
    """One measured claim."""

    TABLE = "study_claims"
    FILE = "study_claims.parquet"

    study: str
    claim: str
    """Short name, such as `think-share-falls`."""
    statement: str
    """The claim, in a sentence with its threshold."""
    condition: str
    quantity: str
    """The quantity in `measured`, with its unit."""
    measured: float
    low: float
    """Lower end of the 95% interval over seeds."""
    high: float
    num_seeds: int
    verdict: Literal["holds", "fails", "undecided"]
    note: str
    """Reason, if the verdict needs one."""
