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
    """`base`, `sft` (the warm-up) or `rl` (the policy)."""
    benchmark: str
    """Name of the benchmark."""
    mode: EvalMode
    """`auto`: the model chose; `short`, `think`: forced."""
    n: int
    """Number of completions: problems times samples per problem."""
    accuracy: float
    """Share of correct answers."""
    accuracy_stderr: float
    """Standard error of the mean over problems (samples of one problem averaged first)."""
    think_share: float
    """Share of answers in mode think."""
    mean_tokens: float
    """Mean of generated tokens."""
    truncated_share: float
    """Share of answers that ran into the limit."""
    malformed_share: float
    """Share of answers whose token 0 is no control token."""
    fake_short_share: float
    """Share of answers that are short by name and long in fact."""
    grader: str
    """Name of the verifier that decides."""
    accuracy_paper: float | None = None
    """Accuracy under the reference code's lenient rules."""
