"""Table `metrics`: numbers of training steps."""

from __future__ import annotations

from schemas.base import Record


class Metric(Record):
    """One number of one training step."""

    TABLE = "metrics"
    FILE = "metrics.parquet"
    HAS_RUN_ID = True

    stage: str
    """`sft` or `rl`."""
    step: int
    """Step of the training."""
    name: str
    """Name of the number."""
    value: float
    """The number."""
