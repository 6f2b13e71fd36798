"""The rows of every table: what a problem, generation, pair, rollout, metric and evaluation ARE.

problems -> generations -> pairs -> (training) -> rollouts, metrics -> eval_completions -> eval_summary.
"Completion" is always the whole generated text, control token first: `<think>7+8=5</think>5`, `<short>5`.
Token counts are generated tokens (control token and end token included, prompt never).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from schemas.base import Record
from schemas.mode import EvalMode, Mode


class ProblemSplit(StrEnum):
    """What a problem is for: warm-up distillation, reinforcement learning, or a held-out benchmark."""

    SFT = "sft"
    RL = "rl"
    TEST = "test"


class FinishReason(StrEnum):
    """Why a completion ended: by its end token, or because it ran into the token limit."""

    STOP = "stop"
    LENGTH = "length"


class Problem(Record):
    """One problem with a checkable answer."""

    problem_id: str
    """Unique over all splits and benchmarks."""
    prompt: str
    """The user's turn, without chat template: the question, and below it the instruction, where there is one."""
    answer: str
    """Reference value the grader compares with."""
    difficulty: int | None
    """Grade of difficulty where the source knows one (number of operations), else null."""
    split: ProblemSplit
    benchmark: str | None
    """Name of the held-out benchmark for split `test`, else null."""
    source: str
    """Where it came from: a generator's name, or a file and its line."""
    instruction: str = ""
    """What the student is told below the question; the prompt's last lines."""

    @property
    def question(self) -> str:
        """The prompt without the instruction: what its source holds, and what teachers are asked."""
        return self.prompt.removesuffix(f"\n{self.instruction}") if self.instruction else self.prompt


class Generation(Record):
    """One teacher's completion of one problem in one mode."""

    generation_id: str
    problem_id: str
    prompt: str
    mode: Mode
    completion: str
    """Whole text, control token first."""
    answer: str | None
    """Final value extracted from the completion; null if none was found (a truncated one has none)."""
    num_tokens: int
    finish_reason: FinishReason
    truncated: bool
    correct: bool
    teacher: str


class Pair(Record):
    """One problem with both sides: what SFT learns from, as two independent samples."""

    problem_id: str
    prompt: str
    answer: str
    think_completion: str
    short_completion: str
    think_tokens: int
    short_tokens: int
    think_truncated: bool
    short_truncated: bool
    split: Literal["train", "validation"]
    difficulty: int | None


class RolloutRecord(Record):
    """One scored rollout, as logged for audit."""

    rollout_id: str
    step: int
    problem_id: str
    difficulty: int | None
    sample: int
    """Index within the group of this prompt."""
    mode: Mode | None
    """From completion token 0; null if that is no control token (malformed)."""
    forced: bool = False
    """Whether token 0 was given (by the objective, or by the collapse guard) and not sampled."""
    completion: str
    num_tokens: int
    finish_reason: FinishReason
    correct: bool
    malformed: bool
    fake_short: bool
    """Short mode that hides a chain of thought; it gets no short bonus."""
    reward: float
    advantage: float


class Metric(Record):
    """One number of one training step."""

    stage: str
    step: int
    name: str
    value: float


class EvalCompletion(Record):
    """One graded completion of one model, in one mode, on one benchmark problem."""

    completion_id: str
    model: str
    benchmark: str
    mode: EvalMode
    """How it was asked: auto or forced."""
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
    """Name of the grader that `correct` comes from."""
    correct_paper: bool
    """Verdict of the reference code's lenient rules, beside the strict one."""


class EvalSummary(Record):
    """One cell of the result table: model x benchmark x mode."""

    model: str
    benchmark: str
    mode: EvalMode
    n: int
    accuracy: float
    accuracy_stderr: float
    """Standard error of the mean over problems (samples of one problem averaged first)."""
    think_share: float
    mean_tokens: float
    truncated_share: float
    malformed_share: float
    fake_short_share: float
    grader: str
    accuracy_paper: float
    """Accuracy under the reference code's lenient rules."""


class RouterScore(Record):
    """What a way of choosing the mode achieves with one model's two forced modes on one benchmark."""

    model: str
    benchmark: str
    router: Literal["auto", "short", "think", "oracle", "random", "threshold"]
    """auto: the model itself; oracle: per problem the mode that is right more often over its samples, among equals the
    cheaper; random: at auto's think share; threshold: think where P(think) is over `threshold`."""
    threshold: float | None
    """Only of router `threshold`."""
    n: int
    """Problems."""
    accuracy: float
    accuracy_stderr: float
    think_share: float
    mean_tokens: float
    mean_tokens_stderr: float
    hybrid_accuracy: float | None
    """Share of problems on which the router chose the mode that the oracle chooses; null for short and think."""


class ParetoPoint(Record):
    """One point of the accuracy-token curve that a bias on the think logit draws."""

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


class GuardEvent(Record):
    """One decision of the collapse guard."""

    step: int
    action: Literal["warn", "stop", "force", "release"]
    rare_mode: Mode
    share: float
    """Share of free rollouts in the rare mode, averaged over the guard's window."""
    forced_per_group: int
    """Rollouts of each group forced into the rare mode from the next step on."""
    reason: str


class StudyMember(Record):
    """One run of a study: a condition under one seed."""

    study: str
    condition: str
    """Name of the setting, such as `degrpo-paper` or `alpha=0.1`."""
    seed: int
    overrides: str
    """The settings that differ from the profile, as JSON."""
    rl_key: str
    evaluate_key: str


class StudyPareto(Record):
    """One point of one member's accuracy-token curve."""

    study: str
    condition: str
    seed: int
    benchmark: str
    think_bias: float
    accuracy: float
    think_share: float
    mean_tokens: float


class StudyCurve(Record):
    """One training metric of one member at one step."""

    study: str
    condition: str
    seed: int
    step: int
    name: str
    value: float


class StudyClaim(Record):
    """One claim, as measured."""

    study: str
    claim: str
    """Short name, such as `think-share-falls`."""
    statement: str
    """What is claimed, in a sentence with its threshold."""
    condition: str
    quantity: str
    """What `measured` is, with its unit."""
    measured: float
    low: float
    """Lower end of the 95% interval over seeds."""
    high: float
    num_seeds: int
    verdict: Literal["holds", "fails", "undecided"]
    note: str
    """Why, where the verdict needs a word."""
