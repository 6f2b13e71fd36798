"""Table `eval_summary`: the result table."""

from __future__ import annotations

from schemas.base import Record
from schemas.mode import EvalMode


class EvalSummary(Record):
    """One cell of the result table: model x benchmark x mode."""

    TABLE = "eval_summary"
    FILE = "summary.parquet"
    HAS_RUN_ID = True

    model: str
    benchmark: str
    mode: EvalMode
    n: int
    """Number of completions: problems times samples per problem."""
    accuracy: float
    accuracy_stderr: float
    """Standard error of the mean over problems (samples of one problem averaged first)."""
    think_share: float
    mean_tokens: float
    truncated_share: float
    malformed_share: float
    fake_short_share: float
    grader: str
    accuracy_paper: float | None = None
    """Accuracy under the reference code's lenient rules."""
