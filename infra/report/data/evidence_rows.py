"""What the report takes from one row of each view of the catalog (infra/catalog/sql/views), and of its own queries."""

from __future__ import annotations

from typing import NamedTuple

Series = tuple[tuple[int, float], ...]
"""(step, value), steps rising."""


class RolloutCount(NamedTuple):
    """Rollouts of one RL step, by mode."""

    step: int
    think: int
    short: int
    malformed: int


class ThinkByDifficulty(NamedTuple):
    """P(think) of one model at one difficulty, over problems."""

    model: str
    difficulty: int
    num_problems: int
    mean: float
    low: float
    """10th percentile."""
    high: float
    """90th percentile."""


class AccuracyByDifficulty(NamedTuple):
    """Accuracy of one model in one mode at one difficulty."""

    model: str
    mode: str
    difficulty: int
    num_problems: int
    accuracy: float
    stderr: float


class TaskLevel(NamedTuple):
    """One model in one mode at one level of one task of one benchmark; standard errors over problems."""

    model: str
    benchmark: str
    task: str
    difficulty: int | None
    mode: str
    num_problems: int
    accuracy: float
    accuracy_stderr: float
    think_share: float
    think_share_stderr: float
    mean_tokens: float
    mean_p_think: float | None


class TaskRouter(NamedTuple):
    """One way of choosing the mode, at one level of one task of one benchmark; standard errors over problems."""

    model: str
    benchmark: str
    task: str
    difficulty: int | None
    router: str
    n: int
    """Problems."""
    accuracy: float
    accuracy_stderr: float
    think_share: float
    mean_tokens: float
    mean_tokens_stderr: float


class ProblemCount(NamedTuple):
    """How much one benchmark was asked, in every cell of the result table."""

    benchmark: str
    num_problems: int
    num_samples: int
    """Of each problem."""


class Comparison(NamedTuple):
    """The rl model's accuracy in auto mode, compared problem by problem; differences with standard errors."""

    benchmark: str
    against_think: float
    against_think_stderr: float
    against_coin: float
    """Against choosing the mode by a coin that has the model's own think share."""
    against_coin_stderr: float
    need: float
    """Forced think minus forced short: how much thinking is worth here."""
    need_stderr: float


class AgainstThink(NamedTuple):
    """The rl model's accuracy in auto mode on one benchmark, less that of a model that is forced to think."""

    other: str
    benchmark: str
    difference: float
    difference_stderr: float
    other_accuracy: float


class StillWrong(NamedTuple):
    """What one model gets wrong in auto mode at one level of one task, over all samples."""

    model: str
    benchmark: str
    task: str | None
    difficulty: int | None
    num_problems: int
    num_completions: int
    wrong: int
    always_wrong: int
    """Problems of which every sample is wrong."""
    sometimes_wrong: int
    """Problems of which some are."""
    wrong_short: int
    wrong_truncated: int


class RoutingGroup(NamedTuple):
    """Problems the rl model leans to one mode on, and how well a short answer would have done there."""

    leans_to_think: bool
    num_problems: int
    short_accuracy: float
    stderr: float


class GraderCount(NamedTuple):
    """One model's completions, by the verdicts of the strict grader and of the reference code's lenient rules."""

    model: str
    num_completions: int
    both_right: int
    only_strict: int
    only_lenient: int


class Disagreement(NamedTuple):
    """One completion that one grader accepts and the other does not."""

    model: str
    benchmark: str
    mode: str
    prompt: str | None
    reference: str | None
    completion: str
    answer: str | None
    correct: bool
    """The strict verdict; the lenient one is the opposite."""
