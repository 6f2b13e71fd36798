"""Scored rollouts with their advantages, ready for the policy update.

ScoredRollout + advantage -> PolicyBatch -> shares of whole groups (optimiser steps) -> micro-batches by tokens.

Shapes: B rollouts, P prompts, G group, T completion tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from schemas.mode import Mode
from thinkless_core.rl.objectives.objective import Denominators, Objective, ScoredGroups
from thinkless_core.rl.rollouts import ScoredRollout
from thinkless_core.rl.schedules import StepSettings
from thinkless_core.student.rendering import Sample
from thinkless_core.training.micro_batches import micro_batches


@dataclass(frozen=True)
class PolicyBatch:
    """Everything one optimiser step learns from; all fields have one entry per rollout, groups contiguous."""

    scored: tuple[ScoredRollout, ...]
    advantages_B: Tensor
    """Of the response tokens."""
    control_advantages_B: Tensor
    """Of the control token; most objectives give it the same."""
    max_new_tokens: int
    """Limit under which the rollouts were sampled."""

    @property
    def denominators(self) -> Denominators:
        """Denominators of means over this whole step."""
        return Denominators(
            num_rollouts=len(self.scored),
            num_response_tokens=sum(len(s.rollout.completion_ids) - 1 for s in self.scored),
            max_new_tokens=self.max_new_tokens,
        )

    def sample(self, index: int) -> Sample:
        """Token ids of one rollout."""
        rollout = self.scored[index].rollout
        return Sample(rollout.prompt_ids, rollout.completion_ids)

    def micro_batches(self, *, model: PreTrainedModel, max_tokens: int, skip_zero_advantage: bool) -> list[list[int]]:
        """Indices of rollouts per forward pass of `model`.

        With `skip_zero_advantage` (right if no KL acts) rollouts without a gradient are left out; they still count in
        the denominators.
        """
        learned = ((self.advantages_B != 0) | (self.control_advantages_B != 0)).tolist()
        kept = [i for i in range(len(self.scored)) if learned[i] or not skip_zero_advantage]
        batches = micro_batches([self.sample(i) for i in kept], model=model, max_tokens=max_tokens)
        return [[kept[i] for i in batch] for batch in batches]

    def split(self, num_shares: int, *, group_size: int) -> Iterator[PolicyBatch]:
        """Equal shares of whole groups, one per optimiser step."""
        share = len(self.scored) // num_shares
        assert share % group_size == 0, f"{len(self.scored)} rollouts do not split into {num_shares} whole shares"
        for start in range(0, len(self.scored), share):
            rows = slice(start, start + share)
            yield PolicyBatch(
                self.scored[rows], self.advantages_B[rows], self.control_advantages_B[rows], self.max_new_tokens
            )


def build_policy_batch(
    scored: Sequence[ScoredRollout],
    *,
    objective: Objective,
    group_size: int,
    settings: StepSettings,
    reference_accuracy: Mapping[str, float] | None = None,
) -> PolicyBatch:
    """Give every scored rollout its advantage; the rollouts of a group stand side by side.

    `reference_accuracy`: by problem, for objectives that need it.
    """
    groups = ScoredGroups(
        rewards_PG=torch.tensor([s.reward for s in scored], dtype=torch.float64).view(-1, group_size),
        short_PG=torch.tensor([s.mode is Mode.SHORT for s in scored]).view(-1, group_size),
        think_PG=torch.tensor([s.mode is Mode.THINK for s in scored]).view(-1, group_size),
        correct_PG=torch.tensor([s.correct for s in scored]).view(-1, group_size),
        num_tokens_PG=torch.tensor([s.num_tokens for s in scored], dtype=torch.float64).view(-1, group_size),
        verdicts=tuple(
            tuple(s.verdict for s in scored[start : start + group_size]) for start in range(0, len(scored), group_size)
        ),
        reference_accuracy_P=None
        if reference_accuracy is None
        else torch.tensor(
            [reference_accuracy[s.problem.problem_id] for s in scored[::group_size]], dtype=torch.float64
        ),
    )
    advantages = objective.advantages(groups, step=settings)
    dtype = torch.get_default_dtype()
    return PolicyBatch(
        tuple(scored),
        advantages_B=advantages.response_PG.reshape(-1).to(dtype),
        control_advantages_B=advantages.control_PG.reshape(-1).to(dtype),
        max_new_tokens=settings.max_new_tokens,
    )
