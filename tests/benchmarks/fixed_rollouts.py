"""The same rollouts for us and for TRL: token ids, lengths and rewards made up, so that only the update differs.

Lengths are those of a policy that thinks about half the problems: 3 tokens, or 20 to `max_new_tokens`. Every group has
rewards that differ, so no side may leave a rollout out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from schemas.configs.rl import RlConfig
from schemas.configs.stage import OptimizerConfig
from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from tests.benchmarks.samples import chain_problems
from thinkless_core.grading.verdict import Outcome, Verdict
from thinkless_core.rl.policy_batch import PolicyBatch, build_policy_batch
from thinkless_core.rl.rollouts import Rollout, ScoredRollout
from thinkless_core.rl.schedules import StepSettings, settings_at
from thinkless_core.seeding import random_stream
from thinkless_core.student.rendering import render_prompt
from thinkless_core.student.tiny_model import tiny_tokenizer

ORDINARY_IDS = (8, 264)
"""Range of ordinary token ids in the tiny tokenizer."""


def update_config(*, prompts: int, group_size: int, max_new_tokens: int, objective: str, **changes: Any) -> RlConfig:
    """Loss without KL, one optimiser step."""
    return RlConfig(
        **{
            "steps": 1_000_000,
            "prompts_per_step": prompts,
            "group_size": group_size,
            "objective": objective,
            "kl_coef": 0.0,
            "max_new_tokens": max_new_tokens,
            "short_max_tokens": 3,
            "optimizer": OptimizerConfig(learning_rate=1e-9),
        }
        | changes
    )


def fixed_batch(config: RlConfig, *, seed: int = 0) -> tuple[PolicyBatch, StepSettings]:
    """Scored rollouts with their advantages, and the settings of step 1."""
    tokenizer, stream = tiny_tokenizer(), random_stream("fixed-rollouts", seed)
    settings = settings_at(config, step=1)
    control = {mode: int(tokenizer.convert_tokens_to_ids(mode.token)) for mode in Mode}
    scored = []
    for problem in chain_problems(config.prompts_per_step, seed=seed):
        prompt_ids = render_prompt(tokenizer, problem.prompt)
        for sample in range(config.group_size):
            mode = Mode.SHORT if sample % 2 else Mode.THINK
            length = 1 if mode is Mode.SHORT else int(stream.integers(18, settings.max_new_tokens - 1))
            ids = (control[mode], *stream.integers(*ORDINARY_IDS, size=length).tolist(), tokenizer.eos_token_id)
            rollout = Rollout(
                problem=problem,
                sample=sample,
                prompt_ids=prompt_ids,
                completion_ids=ids,
                completion="",
                finish_reason=FinishReason.STOP,
                mode=mode,
            )
            verdict = Verdict(Outcome.CORRECT if sample >= config.group_size / 2 else Outcome.WRONG, None)
            reward = float(sample - config.group_size / 2 + 0.25)
            scored.append(ScoredRollout(rollout, verdict, fake_short=False, reward=reward))
    batch = build_policy_batch(
        scored, objective=config.objective.build(), group_size=config.group_size, settings=settings
    )
    return batch, settings


def as_trl_inputs(batch: PolicyBatch, *, pad_id: int) -> dict[str, Tensor]:
    """The batch as GRPOTrainer's loss takes it: prompts padded on the left, completions on the right."""
    prompts = [torch.tensor(s.rollout.prompt_ids).flip(0) for s in batch.scored]
    completions = [torch.tensor(s.rollout.completion_ids) for s in batch.scored]
    ones = [[torch.ones_like(ids) for ids in side] for side in (prompts, completions)]
    pad = torch.nn.utils.rnn.pad_sequence
    return {
        "prompt_ids": pad(prompts, batch_first=True, padding_value=pad_id).flip(1),
        "prompt_mask": pad(ones[0], batch_first=True).flip(1),
        "completion_ids": pad(completions, batch_first=True, padding_value=pad_id),
        "completion_mask": pad(ones[1], batch_first=True),
        "advantages": batch.advantages_B,
    }
