"""Table `eval_pareto`: accuracy against tokens under a think bias."""

from __future__ import annotations

from schemas.base import Record


class ParetoPoint(Record):
    """One point of the accuracy-token curve that a bias on the think logit draws."""

    TABLE = "eval_pareto"
    FILE = "pareto.parquet"
    HAS_RUN_ID = True

    model: str
    benchmark: str
    think_bias: float
    """Added to the think logit at token 0."""
    n: int
    """Problems."""
    accuracy: float
    accuracy_stderr: float
    think_share: float
    mean_tokens: float
    mean_tokens_stderr: float
