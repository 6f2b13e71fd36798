"""Table `eval_routers`: ways of choosing the mode, compared."""

from __future__ import annotations

from typing import Literal

from schemas.base import Record


class RouterScore(Record):
    """Result of one way of choosing the mode, from one model's two forced modes on one benchmark."""

    TABLE = "eval_routers"
    FILE = "routers.parquet"
    HAS_RUN_ID = True

    model: str
    """`base`, `sft` (the warm-up) or `rl` (the policy)."""
    benchmark: str
    """Name of the benchmark."""
    router: Literal["auto", "short", "think", "oracle", "random", "task", "task-level", "threshold"]
    """auto: the model itself; oracle: per problem the mode that is right more often over its samples, of equals the
    cheaper; random: at auto's think share; task, task-level: the oracle's rule once per task, or per level of a task,
    if problems have tasks; threshold: think if P(think) is over `threshold`."""
    threshold: float | None
    """Set only for router `threshold`."""
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
    hybrid_accuracy: float | None
    """Share of problems on which the router chose the mode that the oracle chooses; null for short and think."""
