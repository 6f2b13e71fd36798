"""Table `study_curves`: training curves of a study's members."""

from __future__ import annotations

from schemas.base import Record


class StudyCurve(Record):
    """One training metric of one member at one step."""

    TABLE = "study_curves"
    FILE = "study_curves.parquet"

    study: str
    condition: str
    seed: int
    step: int
    name: str
    value: float
