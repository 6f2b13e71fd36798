"""The numbers of one RL step as the rollouts tell them, under the names they have in `metrics`.

ScoredRollouts -> shares, counts, lengths, accuracy, over all and per mode; probe problems -> exact P(think);
PolicyBatch -> one record per rollout. What the update did is told by thinkless_core/rl/policy_update.py.
A rollout that was forced into its mode is in every number but `free_think_count` and `free_short_count`: those are
what the policy chose by itself, and what the collapse guard watches. What the policy would choose, with nothing
sampled or forced, is `probe_p_think`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch

from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.problems import Problem
from schemas.records.rollouts import RolloutRecord
from thinkless_core.rl.advantages import zero_variance_share
from thinkless_core.rl.policy_batch import PolicyBatch
from thinkless_core.rl.rollouts import ScoredRollout


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def rollout_numbers(scored: Sequence[ScoredRollout], *, group_size: int) -> dict[str, float]:
    """Accuracy, think share, lengths and accounting of one step's rollouts.

    A mode without a rollout has counts of 0 and no accuracy or length: there is nothing to take a mean of.
    """
    numbers: dict[str, float | None] = {
        "reward_mean": _mean([s.reward for s in scored]),
        "accuracy": _mean([s.correct for s in scored]),
        "think_share": _mean([s.rollout.mode is Mode.THINK for s in scored]),
        "mean_tokens": _mean([len(s.rollout.completion_ids) for s in scored]),
        "malformed_share": _mean([s.rollout.mode is None for s in scored]),
        "fake_short_share": _mean([s.fake_short for s in scored]),
        "truncated_share": _mean([s.rollout.finish_reason is FinishReason.LENGTH for s in scored]),
        "zero_variance_share": zero_variance_share(torch.tensor([s.reward for s in scored]).view(-1, group_size)),
    }
    for mode in Mode:
        chosen = [s for s in scored if s.rollout.mode is mode]
        numbers[f"{mode}_count"] = float(len(chosen))
        numbers[f"free_{mode}_count"] = float(sum(not s.rollout.forced for s in chosen))
        numbers[f"{mode}_accuracy"] = _mean([s.correct for s in chosen])
        numbers[f"{mode}_tokens"] = _mean([len(s.rollout.completion_ids) for s in chosen])
    return {name: float(value) for name, value in numbers.items() if value is not None}


def free_counts(numbers: Mapping[str, float]) -> dict[Mode, int]:
    """What the collapse guard watches, read from one step's numbers."""
    return {mode: int(numbers[f"free_{mode}_count"]) for mode in Mode}


def probe_numbers(problems: Sequence[Problem], probabilities: Sequence[float]) -> dict[str, float]:
    """Mean P(think) over the probe problems, and per difficulty."""
    by_difficulty: Mapping[int, list[float]] = defaultdict(list)
    for problem, probability in zip(problems, probabilities, strict=True):
        if problem.difficulty is not None:
            by_difficulty[problem.difficulty].append(probability)
    numbers = {"probe_p_think": sum(probabilities) / len(probabilities)}
    for difficulty, values in sorted(by_difficulty.items()):
        numbers[f"probe_p_think/difficulty_{difficulty}"] = sum(values) / len(values)
    return numbers


def rollout_records(batch: PolicyBatch, *, step: int) -> list[RolloutRecord]:
    """One record per rollout, for audit."""
    records = []
    for scored, advantage in zip(batch.scored, batch.advantages_B.tolist(), strict=True):
        rollout = scored.rollout
        records.append(
            RolloutRecord(
                rollout_id=f"{step:06d}-{rollout.problem.problem_id}-{rollout.sample}",
                step=step,
                problem_id=rollout.problem.problem_id,
                difficulty=rollout.problem.difficulty,
                sample=rollout.sample,
                mode=rollout.mode,
                forced=rollout.forced,
                completion=rollout.completion,
                num_tokens=len(rollout.completion_ids),
                finish_reason=rollout.finish_reason,
                correct=scored.correct,
                malformed=rollout.mode is None,
                fake_short=scored.fake_short,
                reward=scored.reward,
                advantage=advantage,
            )
        )
    return records
