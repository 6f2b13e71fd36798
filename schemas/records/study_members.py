"""Table `study_members`: runs of a study."""

from __future__ import annotations

from schemas.base import Record


class StudyMember(Record):
    """One run of a study: a condition under one seed."""

    TABLE = "study_members"
    FILE = "study_members.parquet"

    study: str
    """Name of the study."""
    condition: str
    """Name of the setting, such as `degrpo-paper` or `alpha=0.1`."""
    seed: int
    """Seed of the member."""
    overrides: str
    """The settings that differ from the profile, as JSON."""
    rl_key: str
    """Key of its policy."""
    evaluate_key: str
    """Key of its evaluation."""
