"""Table `eval_completions`: graded completions on held-out problems."""

from __future__ import annotations

from schemas.base import Record
from schemas.mode import EvalMode, Mode


class EvalCompletion(Record):
    """One graded completion of one model, in one mode, on one benchmark problem."""

    TABLE = "eval_completions"
    FILE = "completions.parquet"

    completion_id: str
    """Id of the row."""
    model: str
    """`base`, `sft` (the warm-up) or `rl` (the policy)."""
    benchmark: str
    """Name of the benchmark."""
    mode: EvalMode
    """Evaluation mode: auto, or a forced mode."""
    problem_id: str
    """Id of the problem (table `problems`)."""
    difficulty: int | None
    """Difficulty or level, if the source gives one."""
    sample: int
    """Number of the sample among those of one problem, from 0."""
    chosen_mode: Mode | None
    """From completion token 0 (forced or chosen); null if malformed."""
    completion: str
    """Generated text, control token included."""
    answer: str | None
    """Answer read from the completion; null: none was found."""
    correct: bool
    """Verdict of the verifier that decides; a truncated answer is wrong."""
    num_tokens: int
    """Generated tokens, control and end token included; the prompt does not count."""
    truncated: bool
    """Whether it ran into the token limit."""
    malformed: bool
    """Whether token 0 is no control token."""
    fake_short: bool
    """Whether a short answer is longer than a short one may be: a hidden chain of thought."""
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
