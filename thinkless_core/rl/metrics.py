"""Metrics of one RL step that are read off its rollouts and off the probe.

ScoredRollouts -> METRICS -> shares, counts, lengths, accuracy, over all and per mode; probe problems -> P(think)

A metric is one line of METRICS. Those of the policy update come from thinkless_core/rl/policy_update.py.
A rollout that was forced into its mode counts in all of them except `free_think_count` and `free_short_count`: those
count the policy's own choices, and the collapse guard watches them. `probe_p_think` is the exact probability of
thinking, with nothing sampled or forced.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.problems import Problem
from thinkless_core.rl.rollouts import ScoredRollout

Reduction = Callable[[Sequence[float], int], float | None]
"""(values, group size) -> their number; None if there is none."""


def mean(values: Sequence[float], group_size: int) -> float | None:
    """The mean over rollouts; a mean of nothing is no number."""
    return sum(values) / len(values) if values else None


def total(values: Sequence[float], group_size: int) -> float:
    """The sum over rollouts."""
    return float(sum(values))


def share_of_equal_groups(values: Sequence[float], group_size: int) -> float:
    """Share of the groups in which all values are equal."""
    groups = [values[i : i + group_size] for i in range(0, len(values), group_size)]
    return sum(len(set(group)) == 1 for group in groups) / len(groups)


@dataclass(frozen=True)
class RolloutMetric:
    """One number of a step: a value of each rollout, and how the values become one."""

    name: str
    value: Callable[[ScoredRollout], float]
    reduction: Reduction
    about: str
    mode: Mode | None = None
    """Only rollouts in this mode; None takes all."""

    def of(self, scored: Sequence[ScoredRollout], *, group_size: int) -> float | None:
        """The number of one step; None if there is nothing to take it of."""
        values = [float(self.value(s)) for s in scored if self.mode is None or s.mode is self.mode]
        return self.reduction(values, group_size)


def _metrics_of_mode(mode: Mode) -> tuple[RolloutMetric, ...]:
    return (
        RolloutMetric(f"{mode}_count", lambda s: 1, total, f"rollouts in {mode} mode", mode),
        RolloutMetric(
            f"free_{mode}_count", lambda s: not s.rollout.forced, total, f"rollouts that chose {mode} freely", mode
        ),
        RolloutMetric(
            f"{mode}_accuracy", lambda s: s.correct, mean, f"share of the {mode} rollouts that are right", mode
        ),
        RolloutMetric(f"{mode}_tokens", lambda s: s.num_tokens, mean, f"mean length of the {mode} rollouts", mode),
    )


METRICS = (
    RolloutMetric("reward_mean", lambda s: s.reward, mean, "mean reward"),
    RolloutMetric("accuracy", lambda s: s.correct, mean, "share of rollouts that are right"),
    RolloutMetric("think_share", lambda s: s.mode is Mode.THINK, mean, "share in think mode, forced ones included"),
    RolloutMetric("mean_tokens", lambda s: s.num_tokens, mean, "mean length of a completion"),
    RolloutMetric("malformed_share", lambda s: s.mode is None, mean, "share whose token 0 is no control token"),
    RolloutMetric(
        "fake_short_share", lambda s: s.fake_short, mean, "share of short rollouts that hide a chain of thought"
    ),
    RolloutMetric(
        "truncated_share", lambda s: s.rollout.finish_reason is FinishReason.LENGTH, mean, "share cut at the limit"
    ),
    RolloutMetric(
        "zero_variance_share", lambda s: s.reward, share_of_equal_groups, "groups of one reward: they teach nothing"
    ),
    *(metric for mode in Mode for metric in _metrics_of_mode(mode)),
)


def rollout_numbers(scored: Sequence[ScoredRollout], *, group_size: int) -> dict[str, float]:
    """The metrics of one step's rollouts.

    A mode without a rollout has counts of 0 and no accuracy or length: there is nothing to take a mean of.
    """
    numbers = {metric.name: metric.of(scored, group_size=group_size) for metric in METRICS}
    return {name: value for name, value in numbers.items() if value is not None}


def free_counts(numbers: Mapping[str, float]) -> dict[Mode, int]:
    """Free choices of each mode, which the collapse guard watches, from one step's numbers."""
    return {mode: int(numbers[f"free_{mode}_count"]) for mode in Mode}


def probe_numbers(problems: Sequence[Problem], probabilities: Sequence[float]) -> dict[str, float]:
    """Mean P(think) over the probe problems, per difficulty, and per task and level if the problems name a task."""
    by_difficulty: Mapping[int, list[float]] = defaultdict(list)
    by_task: Mapping[str, list[float]] = defaultdict(list)
    for problem, probability in zip(problems, probabilities, strict=True):
        if problem.difficulty is not None:
            by_difficulty[problem.difficulty].append(probability)
        if problem.task is not None:
            by_task[f"{problem.task}:{problem.difficulty}"].append(probability)
    numbers = {"probe_p_think": sum(probabilities) / len(probabilities)}
    for difficulty, values in sorted(by_difficulty.items()):
        numbers[f"probe_p_think/difficulty_{difficulty}"] = sum(values) / len(values)
    for task, values in sorted(by_task.items()):
        numbers[f"probe_p_think/task_{task}"] = sum(values) / len(values)
    return numbers
