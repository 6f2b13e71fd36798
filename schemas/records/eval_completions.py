"""Table `eval_completions`: graded completions on held-out problems."""

from __future__ import annotations

from schemas.base import Record
from schemas.mode import EvalMode, Mode


class EvalCompletion(Record):
    """One graded completion of one model, in one mode, on one benchmark problem."""

    TABLE = "eval_completions"
    FILE = "completions.parquet"

    completion_id: str
    model: str
    benchmark: str
    mode: EvalMode
    """Evaluation mode: auto, or a forced mode."""
    problem_id: str
    difficulty: int | None
    sample: int
    chosen_mode: Mode | None
    """From completion token 0 (forced or chosen); null if malformed."""
    completion: str
    answer: str | None
    correct: bool
    num_tokens: int
    truncated: bool
    malformed: bool
    fake_short: bool
    p_think: float
    """P(<think>) over both control tokens at token 0 for this prompt, exact, temperature 1."""
    grader: str
    """Name of the grader that decided `correct`."""
    correct_paper: bool
    """Verdict of the reference code's lenient rules."""
    task: str | None = None
    """Task of the problem, if its source has several."""
    score: float | None = None
    """What the verifier gave by degrees, 1 for a correct answer; null if it was not asked (truncated, malformed)."""
