"""`ada-grpo`: GRPO with a bonus for right answers in the rarer mode; the bonus decays over the run.

Source: ARM (arXiv 2505.20258, section 3.2; repository TEAM-ARM/ARM, compute_ada_grpo_outcome_advantage in verl's
core_algos).

    assign   the policy chooses
    reward   1 correct and short, 1 - gamma correct and think, -1 wrong or malformed
    f_i      1 + 0.5 (G / F_i - 1) (1 + cos(pi step / steps))       F_i: rollouts of the group in the mode of rollout i
    r'_i     f_i r_i if r_i > 0, else r_i
    A_i      r'_i - mean_group(r')                  (rl.baseline = "mean_std" divides by the group's deviation)
    w_it     1 / (B (T_i + 1))   for t = 0..T_i
    v_it     1 / (B (T_i + 1))

f falls from nearly G / F_i at the first step to exactly 1 at the last one. Malformed is a mode of its own in F.
Differs from the source: its rewards are 1 and 0 over four formats; with Thinkless's -1, scaling a wrong answer would
punish a mode for being rare, so only what is earned is scaled. The logged reward is r, not r'. No division by
the deviation by default. The code weighs all tokens of a micro-batch alike; this is GRPO's mean per rollout.

Shapes: P prompts, G group.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from schemas.configs.objective import cancelling
from thinkless_core.rl.objectives.objective import GroupAdvantages, Objective, ScoredGroups, group_relative_advantages
from thinkless_core.rl.schedules import StepSettings

if TYPE_CHECKING:
    from torch import Tensor


class AdaGrpo(Objective):
    """GRPO with a bonus for right answers in the rarer mode, which decays."""

    name: Literal["ada-grpo"] = "ada-grpo"

    @cancelling
    def advantages(self, groups: ScoredGroups, *, step: StepSettings) -> GroupAdvantages:
        """Scaled reward over the group's mean, for all tokens."""
        rewards_PG = groups.rewards_PG
        factors_PG = diversity_factors(groups, step=step.number, num_steps=step.num_steps)
        scaled_PG = (factors_PG * rewards_PG).where(rewards_PG > 0, rewards_PG)
        advantages_PG = group_relative_advantages(scaled_PG, baseline=step.baseline)
        return GroupAdvantages(advantages_PG, advantages_PG)


def diversity_factors(groups: ScoredGroups, *, step: int, num_steps: int) -> Tensor:
    """f_i of every rollout, shape (P, G)."""
    malformed_PG = ~(groups.short_PG | groups.think_PG)
    same_mode_PG = groups.rewards_PG.new_zeros(groups.rewards_PG.shape)
    for mode_PG in (groups.short_PG, groups.think_PG, malformed_PG):
        same_mode_PG += mode_PG * mode_PG.sum(dim=1, keepdim=True)
    rarity_PG = groups.rewards_PG.shape[1] / same_mode_PG
    return 1 + 0.5 * (rarity_PG - 1) * (1 + math.cos(math.pi * step / num_steps))
