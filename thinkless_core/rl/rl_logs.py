"""Logs of an RL run, written step by step and cut back to the checkpoint by a resumed run.

step -> metrics.jsonl, rollouts.jsonl, guard_events.jsonl in scratch -> (stage) Parquet tables
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from schemas.records.guard_events import GuardEvent
from schemas.records.metrics import Metric
from schemas.records.rollouts import RolloutRecord
from thinkless_core.rl.policy_batch import PolicyBatch
from thinkless_core.training.record_log import RecordLog


@dataclass(frozen=True)
class RlLogs:
    """The logs that a training run leaves beside the weights."""

    metrics: RecordLog[Metric]
    rollouts: RecordLog[RolloutRecord]
    guard_events: RecordLog[GuardEvent]
    writes: bool = True
    """False: another process writes, this one reads."""

    @classmethod
    def in_folder(cls, scratch: Path, *, writes: bool = True) -> RlLogs:
        """The logs of the run whose work in progress is in `scratch`."""
        return cls(
            writes=writes,
            metrics=RecordLog(scratch / "metrics.jsonl", Metric),
            rollouts=RecordLog(scratch / "rollouts.jsonl", RolloutRecord),
            guard_events=RecordLog(scratch / "guard_events.jsonl", GuardEvent),
        )

    def cut_after(self, done: int) -> None:
        """Drop what belongs to steps after the checkpoint of step `done`; 0 drops everything."""
        if not self.writes:
            return
        self.metrics.cut_after(done if done else -1)
        self.rollouts.cut_after(done)
        self.guard_events.cut_after(done)

    def write_numbers(self, numbers: Mapping[str, float], *, step: int) -> None:
        """The metrics of one step; step 0 is before training."""
        if self.writes:
            self.metrics.append([Metric(stage="rl", step=step, name=n, value=v) for n, v in numbers.items()])

    def write_step(
        self, batch: PolicyBatch, numbers: Mapping[str, float], *, event: GuardEvent | None, step: int
    ) -> None:
        """Everything about one step."""
        if not self.writes:
            return
        self.rollouts.append(rollout_records(batch, step=step))
        if event is not None:
            self.guard_events.append([event])
        self.write_numbers(numbers, step=step)

    def last(self, name: str) -> float | None:
        """The newest value of a metric; None if it was never written."""
        value = None
        for metric in self.metrics:
            if metric.name == name:
                value = metric.value
        return value


def rollout_records(batch: PolicyBatch, *, step: int) -> list[RolloutRecord]:
    """One record per rollout, for audit."""
    records = []
    for scored, advantage in zip(batch.scored, batch.advantages_B.tolist(), strict=True):
        rollout = scored.rollout
        records.append(
            RolloutRecord(
                rollout_id=f"{step:06d}-{scored.problem.problem_id}-{rollout.sample}",
                step=step,
                problem_id=scored.problem.problem_id,
                difficulty=scored.problem.difficulty,
                sample=rollout.sample,
                mode=scored.mode,
                forced=rollout.forced,
                completion=rollout.completion,
                num_tokens=scored.num_tokens,
                finish_reason=rollout.finish_reason,
                correct=scored.correct,
                malformed=scored.mode is None,
                fake_short=scored.fake_short,
                reward=scored.reward,
                advantage=advantage,
                task=scored.problem.task,
                score=scored.verdict.score,
            )
        )
    return records
