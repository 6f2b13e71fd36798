"""Table `study_curves`: training curves of a study's members."""

from __future__ import annotations

from schemas.base import Record


class StudyCurve(Record):
    """One training metric of one member at one step."""

    TABLE = "study_curves"
    FILE = "study_curves.parquet"

    study: str
    """Name of the study."""
    condition: str
    """Name of the condition: one set of overrides."""
    seed: int
    """Seed of the member."""
    step: int
    """Step of the training."""
    name: str
    """Name of the number."""
    value: float
    """The number."""
