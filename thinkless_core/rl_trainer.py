"""Reinforcement learning of the mode choice: the DeGRPO loop (Thinkless section 3.2).

problems -> groups of rollouts -> verdicts and rewards -> advantages -> policy update, step by step.
The reference policy is the model that training started from, always: a resumed run loads it from the stage's input,
not from its own checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from schemas.configs.rl import RlConfig
from schemas.errors import TrainingError
from schemas.records import Metric, Problem, RolloutRecord
from thinkless_core.acceleration import single_process_accelerator
from thinkless_core.checkpoints import load_checkpoint, save_checkpoint
from thinkless_core.control_tokens import ControlTokens
from thinkless_core.optimization import build_optimizer, learning_rate, set_learning_rate
from thinkless_core.policy_batch import PolicyBatch, build_policy_batch
from thinkless_core.policy_update import sampling_logprobs, update_policy
from thinkless_core.progress import Progress
from thinkless_core.record_log import RecordLog
from thinkless_core.rl_metrics import probe_numbers, rollout_numbers, rollout_records
from thinkless_core.rollouts import Sampler
from thinkless_core.scoring import sample_groups, score_rollouts
from thinkless_core.seeding import batch_indices, derive_seed
from thinkless_core.think_probability import think_probabilities


@dataclass(frozen=True)
class RlLogs:
    """What a training run leaves behind besides the weights."""

    metrics: RecordLog[Metric]
    rollouts: RecordLog[RolloutRecord]


@dataclass(frozen=True)
class RlTrainer:
    """Everything one DeGRPO step needs."""

    policy: PreTrainedModel
    reference: PreTrainedModel | None
    """The model training started from; None where kl_coef is 0."""
    tokenizer: PreTrainedTokenizerBase
    sampler: Sampler
    optimizer: torch.optim.Optimizer
    accelerator: Accelerator
    config: RlConfig

    def train_step(self, problems: Sequence[Problem], *, step: int) -> tuple[PolicyBatch, dict[str, float]]:
        """Sample, score and learn from one batch of problems."""
        config = self.config
        torch.manual_seed(derive_seed("rl-step", config.seed, step))  # dropout, where a model has it
        rollouts = sample_groups(self.sampler, problems, tokenizer=self.tokenizer, config=config, step=step)
        scored = score_rollouts(rollouts, control=ControlTokens.of(self.tokenizer), config=config)
        batch = build_policy_batch(scored, config=config)
        rate = learning_rate(config.optimizer, step=step, num_steps=config.steps)
        set_learning_rate(self.optimizer, rate)
        numbers = rollout_numbers(scored, group_size=config.group_size) | {"learning_rate": rate}
        return batch, numbers | self._update(batch)

    def _update(self, batch: PolicyBatch) -> dict[str, float]:
        """The optimiser steps of one rollout step; their numbers, averaged."""
        config, pad_id = self.config, self.tokenizer.pad_token_id
        shares = list(batch.split(config.updates_per_step, group_size=config.group_size))
        moved = len(shares) > 1
        old = [
            sampling_logprobs(self.policy, share, config=config, pad_id=pad_id) if moved else None for share in shares
        ]
        numbers = [
            update_policy(
                self.policy,
                share,
                old_logprobs=old_logprobs,
                reference=self.reference,
                optimizer=self.optimizer,
                accelerator=self.accelerator,
                config=config,
                pad_id=pad_id,
            )
            for share, old_logprobs in zip(shares, old, strict=True)
        ]
        return {name: sum(n[name] for n in numbers) / len(numbers) for name in numbers[0]}


def train_rl(
    policy: PreTrainedModel,
    *,
    reference: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sampler: Sampler,
    problems: Sequence[Problem],
    config: RlConfig,
    scratch: Path,
    progress: Progress,
) -> RlLogs:
    """Train `policy` in place and return its logs.

    `scratch` holds checkpoints and logs; called again with the same arguments after a crash, training goes on from
    the newest checkpoint to the same weights. Raises TrainingError.
    """
    if len(problems) < config.prompts_per_step:
        raise TrainingError(
            f"{len(problems)} problems in split `rl`, fewer than rl.prompts_per_step={config.prompts_per_step}; "
            "raise problems.rl_share or the number of problems, or lower prompts_per_step"
        )
    accelerator = single_process_accelerator()
    policy.to(accelerator.device)
    reference.to(accelerator.device).eval().requires_grad_(requires_grad=False)
    optimizer = build_optimizer(policy, config.optimizer)
    logs = RlLogs(RecordLog(scratch / "metrics.jsonl", Metric), RecordLog(scratch / "rollouts.jsonl", RolloutRecord))
    done = load_checkpoint(scratch / "checkpoints", model=policy, optimizer=optimizer)
    logs.metrics.cut_after(done if done else -1)
    logs.rollouts.cut_after(done)
    trainer = RlTrainer(
        policy=policy,
        reference=reference if config.kl_coef > 0 else None,
        tokenizer=tokenizer,
        sampler=sampler,
        optimizer=optimizer,
        accelerator=accelerator,
        config=config,
    )
    probe = [
        problems[i]
        for i in batch_indices(
            len(problems),
            batch_size=min(config.probe_problems, len(problems)),
            step=0,
            seed=derive_seed("probe"),
        )
    ]
    policy.train()
    if done == 0:
        _log(logs, step=0, numbers=_read_probe(policy, probe, tokenizer=tokenizer))
    for step in range(done + 1, config.steps + 1):
        chosen = batch_indices(len(problems), batch_size=config.prompts_per_step, step=step - 1, seed=config.seed)
        batch, numbers = trainer.train_step([problems[i] for i in chosen], step=step)
        if step % config.probe_every == 0 or step == config.steps:
            numbers |= _read_probe(policy, probe, tokenizer=tokenizer)
        logs.rollouts.append(rollout_records(batch, step=step))
        _log(logs, step=step, numbers=numbers)
        if step % config.checkpoint_every == 0 and step < config.steps:
            save_checkpoint(scratch / "checkpoints", step=step, model=policy, optimizer=optimizer)
        progress(
            step,
            config.steps,
            {name: numbers[name] for name in ("reward_mean", "accuracy", "think_share", "mean_tokens")},
        )
    return logs


def _read_probe(
    policy: PreTrainedModel, probe: Sequence[Problem], *, tokenizer: PreTrainedTokenizerBase
) -> dict[str, float]:
    return probe_numbers(probe, think_probabilities(policy, [p.prompt for p in probe], tokenizer=tokenizer))


def _log(logs: RlLogs, *, step: int, numbers: dict[str, float]) -> None:
    logs.metrics.append([Metric(stage="rl", step=step, name=n, value=v) for n, v in numbers.items()])
