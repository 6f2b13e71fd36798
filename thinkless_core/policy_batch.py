"""Scored rollouts with their advantages, ready for the policy update.

ScoredRollout + advantage -> PolicyBatch -> shares of whole groups (optimiser steps) -> micro-batches by tokens.

Shapes: B rollouts, P prompts, G group, T completion tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from schemas.configs.rl import RlConfig
from thinkless_core.advantages import group_relative_advantages
from thinkless_core.degrpo import StepCounts
from thinkless_core.logprobs import split_by_tokens
from thinkless_core.rendering import Sample
from thinkless_core.rollouts import ScoredRollout


@dataclass(frozen=True)
class PolicyBatch:
    """Everything one optimiser step learns from; all fields have one entry per rollout, groups contiguous."""

    scored: tuple[ScoredRollout, ...]
    advantages_B: Tensor

    @property
    def counts(self) -> StepCounts:
        """Denominators over this whole step."""
        return StepCounts(
            num_rollouts=len(self.scored),
            num_response_tokens=sum(len(s.rollout.completion_ids) - 1 for s in self.scored),
        )

    def sample(self, index: int) -> Sample:
        """Token ids of one rollout."""
        rollout = self.scored[index].rollout
        return Sample(rollout.prompt_ids, rollout.completion_ids)

    def micro_batches(self, *, max_tokens: int, skip_zero_advantage: bool) -> list[list[int]]:
        """Indices of rollouts per forward pass, like lengths together.

        With `skip_zero_advantage` (right where no KL acts) rollouts without a gradient are left out; they still
        count in the denominators.
        """
        kept = [i for i in range(len(self.scored)) if not skip_zero_advantage or float(self.advantages_B[i]) != 0.0]
        batches = split_by_tokens([self.sample(i) for i in kept], max_tokens=max_tokens)
        return [[kept[i] for i in batch] for batch in batches]

    def split(self, num_shares: int, *, group_size: int) -> Iterator[PolicyBatch]:
        """Equal shares of whole groups, one per optimiser step."""
        share = len(self.scored) // num_shares
        assert share % group_size == 0, f"{len(self.scored)} rollouts do not split into {num_shares} whole shares"
        for start in range(0, len(self.scored), share):
            stop = start + share
            yield PolicyBatch(self.scored[start:stop], self.advantages_B[start:stop])


def build_policy_batch(scored: Sequence[ScoredRollout], *, config: RlConfig) -> PolicyBatch:
    """Give every scored rollout its group-relative advantage; groups of `config.group_size` are contiguous."""
    rewards_PG = torch.tensor([s.reward for s in scored], dtype=torch.float64).view(-1, config.group_size)
    advantages_PG = group_relative_advantages(rewards_PG, baseline=config.advantage)
    return PolicyBatch(tuple(scored), advantages_PG.reshape(-1).to(torch.get_default_dtype()))
