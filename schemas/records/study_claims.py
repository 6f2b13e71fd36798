"""Table `study_claims`: measured claims."""

from __future__ import annotations

from typing import Literal

from schemas.base import Record


class StudyClaim(Record):
    """One measured claim."""

    TABLE = "study_claims"
    FILE = "study_claims.parquet"

    study: str
    """Name of the study."""
    claim: str
    """Short name, such as `think-share-falls`."""
    statement: str
    """The claim, in a sentence with its threshold."""
    condition: str
    """The condition that the claim is about."""
    quantity: str
    """The quantity in `measured`, with its unit."""
    measured: float
    """The estimate."""
    low: float
    """Lower end of the 95% interval over seeds; over problems (Wilson) if every seed has a share of 0 or of 1."""
    high: float
    """Upper end of its 95% interval."""
    num_seeds: int
    """Seeds behind it."""
    verdict: Literal["holds", "fails", "undecided"]
    """Whether the claim holds, fails or is undecided."""
    note: str
    """Reason, if the verdict needs one."""
