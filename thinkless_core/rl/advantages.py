"""Group-relative advantage: how much better a rollout did than the others on the same prompt.

Shapes: P prompts, G rollouts per prompt (group).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

STD_EPSILON = 1e-6
"""Keeps a group without variance from dividing by zero; its advantages are 0 either way."""


def group_relative_advantages(rewards_PG: Tensor, *, baseline: Literal["mean", "mean_std"] = "mean") -> Tensor:
    """A_i = r_i - mean_group(r); with `mean_std` divided by the group's standard deviation as well.

    Shape (P, G) in and out. Source: Thinkless section 3.2 (no division, as in Dr. GRPO, arXiv 2503.20783);
    `mean_std` is GRPO's (arXiv 2402.03300, eq. 3). Raises ValueError for groups of one.
    """
    if rewards_PG.shape[1] < 2:
        raise ValueError(f"a group of {rewards_PG.shape[1]} has nothing to be compared with; use group_size >= 2")
    centred_PG = rewards_PG - rewards_PG.mean(dim=1, keepdim=True)
    # Rounding of the mean must not give a group without variance something to learn.
    centred_PG = centred_PG.masked_fill((rewards_PG == rewards_PG[:, :1]).all(dim=1, keepdim=True), 0.0)
    if baseline == "mean":
        return centred_PG
    return centred_PG / (rewards_PG.std(dim=1, keepdim=True, correction=0) + STD_EPSILON)
