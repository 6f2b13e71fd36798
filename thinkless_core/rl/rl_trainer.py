"""Reinforcement learning of the mode choice: the loop of all objectives (Thinkless section 3.2).

problems -> modes assigned -> groups of rollouts -> verdicts and rewards -> advantages -> policy update, step by step

The loop does not know which objective (thinkless_core/rl/objectives/) or reward it runs. The reference policy is always
the model that training started from: a resumed run loads it from the stage's input, not from its own checkpoint.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from schemas.configs.rl import RlConfig
from schemas.configs.schedule import values
from schemas.errors import TrainingError
from schemas.mode import Mode
from schemas.records.problems import Problem
from thinkless_core.progress import Progress
from thinkless_core.rl.collapse_guard import CollapseGuard, replay, stop_if_asked
from thinkless_core.rl.metrics import free_counts, probe_numbers, rollout_numbers
from thinkless_core.rl.mode_assignment import force_rare
from thinkless_core.rl.objectives.objective import Objective
from thinkless_core.rl.policy_batch import PolicyBatch, build_policy_batch
from thinkless_core.rl.policy_update import sampling_logprobs, update_policy
from thinkless_core.rl.reference_accuracy import ReferenceAccuracy, measure_reference_accuracy, visited_problems
from thinkless_core.rl.rewards import Reward
from thinkless_core.rl.rl_logs import RlLogs
from thinkless_core.rl.rollouts import Rollout, ScoredRollout
from thinkless_core.rl.schedules import StepSettings, schedule_numbers, settings_at
from thinkless_core.rl.scoring import sample_groups, score_rollouts
from thinkless_core.rl.shared_sampling import SharedSampler
from thinkless_core.sampling.sampler import Sampler
from thinkless_core.sampling.think_probability import think_probabilities
from thinkless_core.seeding import batch_indices, derive_seed
from thinkless_core.student.context_length import context_length, refuse_over_context
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.training.acceleration import training_accelerator
from thinkless_core.training.checkpoints import load_checkpoint, save_checkpoint
from thinkless_core.training.micro_batches import memory_explained
from thinkless_core.training.optimization import build_optimizer, learning_rate, set_learning_rate
from thinkless_core.training.precision import frozen_for
from thinkless_core.training.processes import process_stream, run_on_main, wait_for_all
from thinkless_core.training.sharding import gathered, make_whole, shard_layers


@dataclass(frozen=True)
class RlTrainer:
    """Everything one step needs."""

    policy: PreTrainedModel
    reference: PreTrainedModel | None
    """The model training started from: one of its own, or the policy itself, whose adapters can be switched off. None
    if kl_coef is 0 at every step."""
    tokenizer: PreTrainedTokenizerBase
    sampler: Sampler
    """Called by every process with the same requests."""
    optimizer: torch.optim.Optimizer
    accelerator: Accelerator
    config: RlConfig
    objective: Objective
    reward: Reward
    reference_accuracy: Mapping[str, float] | None
    """By problem, if the objective needs it."""

    def train_step(
        self, problems: Sequence[Problem], *, step: int, forced: tuple[Mode, int] | None
    ) -> tuple[PolicyBatch, dict[str, float]]:
        """Sample, score and learn from one batch of problems; `forced` is what the collapse guard asks for."""
        config, settings = self.config, settings_at(self.config, step=step)
        # Dropout, if a model has it.
        torch.manual_seed(derive_seed("rl-step", config.seed, step, *process_stream(self.accelerator)))
        rollouts = self.sample(problems, settings, forced=forced)
        scored = self.score(rollouts, settings)
        batch = build_policy_batch(
            scored,
            objective=self.objective,
            group_size=config.group_size,
            settings=settings,
            reference_accuracy=self.reference_accuracy,
        )
        rate = learning_rate(config.optimizer, step=step, num_steps=config.steps)
        set_learning_rate(self.optimizer, rate)
        learned = self.update(batch, settings)
        numbers = rollout_numbers(scored, group_size=config.group_size) | {"learning_rate": rate}
        return batch, numbers | schedule_numbers(config, settings=settings) | learned

    def sample(
        self, problems: Sequence[Problem], settings: StepSettings, *, forced: tuple[Mode, int] | None
    ) -> list[Rollout]:
        """A group of rollouts per problem, sampled with all of the policy's weights."""
        with gathered(self.policy):
            return sample_groups(
                self.sampler,
                problems,
                assigned=force_rare(self.objective.assign_modes(self.config.group_size), forced=forced),
                tokenizer=self.tokenizer,
                config=self.config,
                settings=settings,
            )

    def score(self, rollouts: Sequence[Rollout], settings: StepSettings) -> list[ScoredRollout]:
        """Verdict and reward of every rollout, the same in every process."""
        return run_on_main(
            self.accelerator,
            score_rollouts,
            rollouts,
            reward=self.reward,
            control=ControlTokens.of(self.tokenizer),
            config=self.config,
            settings=settings,
        )

    def update(self, batch: PolicyBatch, settings: StepSettings) -> dict[str, float]:
        """The optimiser steps of one rollout step; their metrics, averaged over the steps that have them."""
        config, pad_id, accelerator = self.config, self.tokenizer.pad_token_id, self.accelerator
        shares = list(batch.split(config.updates_per_step, group_size=config.group_size))
        with memory_explained("rl", config.micro_batch_tokens):
            old = [
                # A policy that is updated once has not moved since it sampled.
                sampling_logprobs(
                    self.policy, share, config=config, settings=settings, pad_id=pad_id, accelerator=accelerator
                )
                if len(shares) > 1
                else None
                for share in shares
            ]
            numbers = [
                update_policy(
                    self.policy,
                    share,
                    objective=self.objective,
                    old_logprobs=old_logprobs,
                    reference=self.reference if settings.kl_coef > 0 else None,
                    optimizer=self.optimizer,
                    accelerator=accelerator,
                    config=config,
                    settings=settings,
                    pad_id=pad_id,
                )
                for share, old_logprobs in zip(shares, old, strict=True)
            ]
        seen: dict[str, list[float]] = defaultdict(list)
        for name, value in itertools.chain.from_iterable(n.items() for n in numbers):
            seen[name].append(value)
        return {name: sum(found) / len(found) for name, found in seen.items()}

    def read_probe(self, probe: Sequence[Problem]) -> dict[str, float]:
        """P(think) on the probe problems."""
        prompts = [problem.prompt for problem in probe]
        with gathered(self.policy):
            found = run_on_main(self.accelerator, think_probabilities, self.policy, prompts, tokenizer=self.tokenizer)
        return probe_numbers(probe, found)


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
    sharded: bool = False,
) -> RlLogs:
    """Train `policy`, as `prepare_student` left it, in place and return its logs. `reference` is the model that it
    starts from; for a policy with adapters it may be the policy itself.

    `scratch` holds checkpoints and logs. Called again with the same arguments after a crash, training goes on from the
    newest checkpoint to the same weights; after the last step it does none. Of several processes only the main one
    writes and reports progress; `sharded` spreads both models over them. Raises TrainingError, and CollapseError if the
    guard ends the run.
    """
    refuse_what_cannot_be_trained_on(problems, config=config, tokenizer=tokenizer, context=context_length(policy))
    accelerator = training_accelerator()
    writes = accelerator.is_main_process
    policy.to(accelerator.device)
    needs_reference = max(values(config.kl_coef, num_steps=config.steps)) > 0
    others = [reference] if needs_reference and reference is not policy else []
    for model in others:
        frozen_for(config.precision, model.to(accelerator.device))
    for model in (policy, *others) if sharded else ():
        shard_layers(model)
    optimizer = build_optimizer(policy, config.optimizer)
    logs = RlLogs.in_folder(scratch, writes=writes)
    done = load_checkpoint(scratch / "checkpoints", model=policy, optimizer=optimizer)
    logs.cut_after(done)
    wait_for_all(accelerator)
    guard = CollapseGuard(config.guard, group_size=config.group_size)
    replay(guard, logs.metrics)
    objective, shared = config.objective.build(), SharedSampler(sampler, accelerator)
    measured: ReferenceAccuracy | None = None
    if num_samples := objective.num_reference_samples():
        # All of it before the first step: a policy that has moved is no longer the warm-up model.
        with gathered(policy):
            measured = measure_reference_accuracy(
                shared,
                visited_problems(problems, config=config),
                num_samples=num_samples,
                tokenizer=tokenizer,
                config=config,
                accelerator=accelerator,
                scratch=scratch,
                progress=progress,
            )
    trainer = RlTrainer(
        policy=policy,
        reference=reference if needs_reference else None,
        tokenizer=tokenizer,
        sampler=shared,
        optimizer=optimizer,
        accelerator=accelerator,
        config=config,
        objective=objective,
        reward=config.chosen_reward().build(),
        reference_accuracy=measured.by_problem if measured else None,
    )
    before = measured.numbers() if measured else {}
    _train(trainer, problems, done=done, before=before, guard=guard, logs=logs, scratch=scratch, progress=progress)
    make_whole(policy, keeps=writes)
    return logs


def _train(
    trainer: RlTrainer,
    problems: Sequence[Problem],
    *,
    done: int,
    before: Mapping[str, float],
    guard: CollapseGuard,
    logs: RlLogs,
    scratch: Path,
    progress: Progress,
) -> None:
    """All steps after `done`; `before` are the numbers of step 0."""
    config, policy, writes = trainer.config, trainer.policy, logs.writes
    probe = _probe_problems(problems, config=config)
    policy.train()
    if done == 0:
        logs.write_numbers({**before, **trainer.read_probe(probe)}, step=0)
        if writes:
            progress(0, config.steps, {})
    generated_tokens = logs.last("generated_tokens") or 0.0
    for step in range(done + 1, config.steps + 1):
        chosen = batch_indices(len(problems), batch_size=config.prompts_per_step, step=step - 1, seed=config.seed)
        batch, numbers = trainer.train_step([problems[i] for i in chosen], step=step, forced=guard.forced)
        if step % config.probe_every == 0 or step == config.steps:
            numbers |= trainer.read_probe(probe)
        generated_tokens += sum(s.num_tokens for s in batch.scored)
        numbers |= guard.numbers() | {"generated_tokens": generated_tokens}
        event = guard.observe(step=step, free_counts=free_counts(numbers))
        logs.write_step(batch, numbers, event=event, step=step)
        stop_if_asked(event)
        if step % config.checkpoint_every == 0 or step == config.steps:
            save_checkpoint(
                scratch / "checkpoints", step=step, model=policy, optimizer=trainer.optimizer, writes=writes
            )
        if writes:
            progress(step, config.steps, numbers, notes=() if event is None else (event.reason,))


def refuse_what_cannot_be_trained_on(
    problems: Sequence[Problem], *, config: RlConfig, tokenizer: PreTrainedTokenizerBase, context: int | None
) -> None:
    """Raise an error for too few problems, and for prompts that leave no room for a completion in the `context`."""
    if len(problems) < config.prompts_per_step:
        raise TrainingError(
            f"{len(problems)} problems in split `rl`, fewer than rl.prompts_per_step={config.prompts_per_step}; "
            "raise problems.rl_share or the number of problems, or lower prompts_per_step"
        )
    refuse_over_context(
        (problem.prompt for problem in visited_problems(problems, config=config)),
        tokenizer=tokenizer,
        context=context,
        max_new_tokens=round(max(values(config.max_new_tokens, num_steps=config.steps))),
        stage="rl",
        setting="rl.max_new_tokens",
    )


def _probe_problems(problems: Sequence[Problem], *, config: RlConfig) -> list[Problem]:
    """The fixed probe set: the same for every run on these problems."""
    size = min(config.probe_problems, len(problems))
    return [problems[i] for i in batch_indices(len(problems), batch_size=size, step=0, seed=derive_seed("probe"))]
