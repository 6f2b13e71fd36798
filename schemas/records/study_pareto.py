"""Table `study_pareto`: accuracy-token curves of a study's members."""

from __future__ import annotations

from schemas.base import Record


class StudyPareto(Record):
    """One point of one member's accuracy-token curve."""

    TABLE = "study_pareto"
    FILE = "study_pareto.parquet"

    study: str
    condition: str
    seed: int
    benchmark: str
    think_bias: float
    accuracy: float
    think_share: float
    mean_tokens: float
