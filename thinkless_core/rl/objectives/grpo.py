"""`grpo`: every token of a rollout weighs the same, the control token included. The baseline that may collapse.

Source: GRPO, DeepSeekMath (arXiv 2402.03300, eq. 3), as Thinkless (arXiv 2505.13379, section 3.2) writes it with a
control token and compares itself with.

    assign   the policy chooses
    reward   1 correct and short, 1 - gamma correct and think, -1 wrong or malformed
    A_i      r_i - mean_group(r)                    (rl.advantage = "mean_std" divides by the group's deviation)
    w_it     1 / (B (T_i + 1))   for t = 0..T_i
    v_it     1 / (B (T_i + 1))

A short answer's control token weighs 1/(T_short + 1), a thinking one's 1/(T_think + 1): the longer thinking is, the
less is learned from having chosen it. That is the imbalance Thinkless blames for the loss of a mode.
Differs from the source: no division by the deviation by default, as in Thinkless's own baseline. The authors' switch
for "vanilla" GRPO is a mean over all tokens of a micro-batch, which has no such imbalance; this is the paper's.

Shapes: B rollouts, T completion tokens (index 0 = control token).
"""

from __future__ import annotations

import torch
from torch import Tensor

from schemas.configs.rl import RlConfig
from thinkless_core.rl.advantages import group_relative_advantages
from thinkless_core.rl.mode_assignment import free_choice
from thinkless_core.rl.objectives.objective import GroupAdvantages, Objective, ScoredGroups
from thinkless_core.rl.policy_loss import StepCounts, TokenWeights
from thinkless_core.rl.rewards import RewardTable, Verdict
from thinkless_core.rl.schedules import StepSettings


def reward(verdict: Verdict, *, config: RlConfig, settings: StepSettings) -> float:
    """Thinkless's table."""
    table = RewardTable(gamma=settings.gamma)
    return table.reward(verdict.mode, correct=verdict.correct, fake_short=verdict.fake_short)


def advantages(groups: ScoredGroups, *, config: RlConfig, settings: StepSettings) -> GroupAdvantages:
    """Reward over the group's mean, for all tokens."""
    advantages_PG = group_relative_advantages(groups.rewards_PG, baseline=config.advantage)
    return GroupAdvantages(advantages_PG, advantages_PG)


def sequence_mean(mask_BT: Tensor, *, counts: StepCounts) -> Tensor:
    """1 / (B (T_i + 1)) on every token: mean over rollouts of the mean over tokens. Weighs KL in most objectives."""
    lengths_B1 = mask_BT.sum(dim=1, keepdim=True)
    return mask_BT.to(torch.get_default_dtype()) / (counts.num_rollouts * lengths_B1)


def token_weights(mask_BT: Tensor, *, control_weight: float, counts: StepCounts) -> TokenWeights:
    """One mean per rollout; `control_weight` has no part in it."""
    weights_BT = sequence_mean(mask_BT, counts=counts)
    return TokenWeights(weights_BT, weights_BT)


GRPO = Objective("grpo", assign_modes=free_choice, reward=reward, advantages=advantages, token_weights=token_weights)
