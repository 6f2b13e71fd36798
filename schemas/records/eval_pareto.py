"""Table `eval_pareto`: accuracy against tokens under a think bias."""

from __future__ import annotations

from schemas.base import Record


class ParetoPoint(Record):
    """One point of the accuracy-token curve that a bias on the think logit draws."""

    TABLE = "eval_pareto"
    FILE = "pareto.parquet"
    HAS_RUN_ID = True

    model: str
    """`base`, `sft` (the warm-up) or `rl` (the policy)."""
    benchmark: str
    """Name of the benchmark."""
    think_bias: float
    """Added to the think logit at token 0."""
    n: int
    """Problems."""
    accuracy: float
    """Share of correct answers."""
    accuracy_stderr: float
    """Standard error of `accuracy`, over problems."""
    think_share: float
    """Share of answers in mode think."""
    mean_tokens: float
    """Mean of generated tokens."""
    mean_tokens_stderr: float
    """Standard error of `mean_tokens`, over problems."""
