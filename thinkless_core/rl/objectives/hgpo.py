"""`hgpo`: both modes answer every problem; the better mode is rewarded, and within each mode the better answers.

Source: Hybrid Group Policy Optimization, "Think only when you need" (LHRM, arXiv 2505.14631, eq. 5 to 11).

    assign   half of the group short, half think, taken as if the policy had chosen
    reward   1[correct]
    m*       think if mean_think(r) > mean_short(r) + margin, else short                (the better mode)
    inter_i  z over the group of 1[mode_i = m*]         z(x) = (x - mean(x)) / deviation(x), 0 where all are equal
    intra_i  z over the answers in one mode of 1[r_i is the best reward in it]
    A_i0     intra_i + alpha inter_i
    A_it     intra_i             for t = 1..T_i
    w_it     1 / (B L)           for t = 0..T_i, L = rl.max_new_tokens
    v_it     1 / (B (T_i + 1))

The halves being equal, inter is +1 or -1: the push towards the better mode is the same however sure the policy is.
Differs from the paper: rewards are verdicts, so several answers share the best one, where the paper takes the one that
argmax names; a mode whose answers are all right or all wrong has intra 0. Eq. 11 sums over tokens; here the sum is
divided by the constant L. The deviation is the population's, plus 1e-6.

Shapes: P prompts, G group.
"""

from __future__ import annotations

import torch

from schemas.configs.rl import RlConfig
from thinkless_core.rl.advantages import group_relative_advantages
from thinkless_core.rl.mode_assignment import AssignedMode, in_halves
from thinkless_core.rl.objectives.dr_grpo import token_weights
from thinkless_core.rl.objectives.objective import GroupAdvantages, Objective, ScoredGroups
from thinkless_core.rl.rewards import Verdict
from thinkless_core.rl.schedules import StepSettings


def assign_modes(group_size: int) -> tuple[AssignedMode, ...]:
    """Half and half, as if chosen."""
    return in_halves(group_size, probability=None)


def reward(verdict: Verdict, *, config: RlConfig, settings: StepSettings) -> float:
    """Being right alone."""
    return float(verdict.correct)


def advantages(groups: ScoredGroups, *, config: RlConfig, settings: StepSettings) -> GroupAdvantages:
    """Intra-mode for all tokens; alpha times inter-mode for the control token besides."""
    rewards_PG, short_PG = groups.rewards_PG, groups.short_PG
    num_prompts = len(rewards_PG)
    intra_PG, means = torch.zeros_like(rewards_PG), []
    for mode_PG in (short_PG, groups.think_PG):
        half_PG = rewards_PG[mode_PG].view(num_prompts, -1)
        best_PG = (half_PG == half_PG.max(dim=1, keepdim=True).values).to(rewards_PG.dtype)
        intra_PG[mode_PG] = group_relative_advantages(best_PG, baseline="mean_std").flatten()
        means.append(half_PG.mean(dim=1, keepdim=True))
    short_mean_P1, think_mean_P1 = means
    thinking_pays_P1 = think_mean_P1 > short_mean_P1 + config.hgpo_margin
    chosen_well_PG = (short_PG != thinking_pays_P1).to(rewards_PG.dtype)
    inter_PG = group_relative_advantages(chosen_well_PG, baseline="mean_std")
    return GroupAdvantages(control_PG=intra_PG + settings.alpha * inter_PG, response_PG=intra_PG)


HGPO = Objective(
    "hgpo",
    assign_modes=assign_modes,
    reward=reward,
    advantages=advantages,
    token_weights=token_weights,
    reward_range=lambda config: (0.0, 1.0),
)
