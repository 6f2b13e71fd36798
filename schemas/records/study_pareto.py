"""Table `study_pareto`: accuracy-token curves of a study's members."""

from __future__ import annotations

from schemas.base import Record


class StudyPareto(Record):
    """One point of one member's accuracy-token curve."""

    TABLE = "study_pareto"
    FILE = "study_pareto.parquet"

    study: str
    """Name of the study."""
    condition: str
    """Name of the condition: one set of overrides."""
    seed: int
    """Seed of the member."""
    benchmark: str
    """Name of the benchmark."""
    think_bias: float
    """Added to the think logit."""
    accuracy: float
    """Share of correct answers."""
    think_share: float
    """Share of answers in mode think."""
    mean_tokens: float
    """Mean of generated tokens."""
