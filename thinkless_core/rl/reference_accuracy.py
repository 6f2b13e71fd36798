"""How often the warm-up model's thinking is right, problem by problem: what `adaptthink` must not fall below.

problems that the run visits -> K think answers each -> share of right answers

Measured once, before the first step, with the policy as it is then, and logged piece by piece: a crash costs one
piece. Sampled tokens are counted: they are part of what the objective costs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from accelerate import Accelerator
from transformers import PreTrainedTokenizerBase

from schemas.base import Record
from schemas.configs.rl import RlConfig
from schemas.mode import Mode
from schemas.records.problems import Problem
from thinkless_core.progress import Progress
from thinkless_core.rl.mode_assignment import AssignedMode
from thinkless_core.rl.rollouts import Rollout
from thinkless_core.rl.schedules import settings_at
from thinkless_core.rl.scoring import judge_rollouts, sample_groups
from thinkless_core.rows import RowsAt
from thinkless_core.sampling.sampler import Sampler
from thinkless_core.seeding import batch_indices
from thinkless_core.training.processes import run_on_main
from thinkless_core.training.record_log import RecordLog


class ReferenceScore(Record):
    """The verdicts on one problem."""

    step: int
    """Number of the piece it was measured in, from 0."""
    problem_id: str
    num_correct: int
    num_tokens: int
    """Generated, over all samples of the problem."""


@dataclass(frozen=True)
class ReferenceAccuracy:
    """Accuracy by problem, and the tokens it cost."""

    by_problem: Mapping[str, float]
    num_tokens: int

    def numbers(self) -> dict[str, float]:
        """Metrics of step 0."""
        accuracies = self.by_problem.values()
        return {"reference_accuracy": sum(accuracies) / len(accuracies), "generated_tokens": float(self.num_tokens)}


def visited_problems(problems: Sequence[Problem], *, config: RlConfig) -> RowsAt[Problem]:
    """Problems that some step of the run trains on, in the order of `problems`."""
    visited = {
        index
        for step in range(config.steps)
        for index in batch_indices(len(problems), batch_size=config.prompts_per_step, step=step, seed=config.seed)
    }
    return RowsAt(problems, np.array(sorted(visited), dtype=np.int64))


def measure_reference_accuracy(
    sampler: Sampler,
    problems: Sequence[Problem],
    *,
    num_samples: int,
    tokenizer: PreTrainedTokenizerBase,
    config: RlConfig,
    accelerator: Accelerator,
    scratch: Path,
    progress: Progress,
) -> ReferenceAccuracy:
    """Accuracy of `num_samples` forced think completions per problem, under the settings of the first step.

    Every process calls this. The sampler's model must be the warm-up model. Scores that `scratch` already holds are not
    measured again.
    """
    log = RecordLog(scratch / "reference_scores.jsonl", ReferenceScore)
    pieces = [problems[i : i + config.prompts_per_step] for i in range(0, len(problems), config.prompts_per_step)]
    scores = run_on_main(accelerator, _already_measured, log, pieces)
    for number in range(scores[-1].step + 1 if scores else 0, len(pieces)):
        rollouts = sample_groups(
            sampler,
            pieces[number],
            assigned=[AssignedMode(Mode.THINK)] * num_samples,
            tokenizer=tokenizer,
            config=config,
            settings=settings_at(config, step=1),
            stream="reference",
        )
        measured = run_on_main(accelerator, _scores_of, rollouts, number=number, num_samples=num_samples)
        scores += measured
        if accelerator.is_main_process:
            log.append(measured)
            accuracy = sum(s.num_correct for s in scores) / (len(scores) * num_samples)
            progress(number + 1, len(pieces), {"reference_accuracy": accuracy})
    return ReferenceAccuracy(
        by_problem={s.problem_id: s.num_correct / num_samples for s in scores},
        num_tokens=sum(s.num_tokens for s in scores),
    )


def _already_measured(log: RecordLog[ReferenceScore], pieces: Sequence[Sequence[Problem]]) -> list[ReferenceScore]:
    """The scores of the first pieces that are whole in the log, which is cut back to them."""
    found: dict[int, list[ReferenceScore]] = defaultdict(list)
    log.cut_after(len(pieces))  # a line that a crash left half written
    for score in log:
        found[score.step].append(score)
    whole = 0
    while whole < len(pieces) and len(found[whole]) == len(pieces[whole]):
        whole += 1
    log.cut_after(whole - 1)
    return [score for piece in range(whole) for score in found[piece]]


def _scores_of(rollouts: Sequence[Rollout], *, number: int, num_samples: int) -> list[ReferenceScore]:
    """One score per problem of piece `number`, whose rollouts stand side by side."""
    groups = [rollouts[i : i + num_samples] for i in range(0, len(rollouts), num_samples)]
    return [
        ReferenceScore(
            step=number,
            problem_id=samples[0].problem.problem_id,
            num_correct=sum(verdict.correct for verdict in judge_rollouts(samples)),
            num_tokens=sum(len(rollout.completion_ids) for rollout in samples),
        )
        for samples in groups
    ]
