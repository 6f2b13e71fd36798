"""An objective: who chooses the modes, a reward, an advantage, a weight per token. Everything else is shared.

    assign_modes   -> who chooses the control token of each rollout
    default_reward -> what a rollout earns, unless rl.reward says otherwise (thinkless_core/rl/rewards.py)
    advantages     -> ScoredGroups -> GroupAdvantages, one of the control token and one of the response
    token_weights  -> mask, Denominators -> TokenWeights of the loss (thinkless_core/rl/policy_loss.py)

The shipped ones, one file each:

    name               modes     reward              advantage of t = 0 / t >= 1              weight of t = 0 / t >= 1
    grpo               free      1, 1 - gamma, -1    r - mean                                 1/(B(T+1))
    dr_grpo            free      1, 1 - gamma, -1    r - mean                                 1/(BL)
    degrpo-paper       free      1, 1 - gamma, -1    r - mean                                 alpha/B      / 1/(BT)
    degrpo-token       free      1, 1 - gamma, -1    r - mean                                 alpha/B      / 1/sum T
    adaptthink         halves    1 + delta, 1, 0     r - acc_ref                              2 pi_old/(BL) / 1/(BL)
    hgpo               halves    1, 0                intra + inter_weight inter / intra       1/(BL)
    ada-grpo           free      1, 1 - gamma, -1    f r - mean, rare modes more              1/(B(T+1))
    length-truncation  think     1, -1               r - mean                                 0            / 1/sum T

B rollouts of the step, T response tokens of the rollout, L limit of a completion.

Shapes: P prompts, G group, B rollouts, T completion tokens. Masks are bool, True = counts.
This file and those of the objectives import torch for types alone: a configuration is loaded without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from schemas.configs.objective import ObjectiveConfig, cancelling
from thinkless_core.grading.verdict import Verdict
from thinkless_core.rl.mode_assignment import AssignedMode, free_choice
from thinkless_core.rl.schedules import StepSettings

if TYPE_CHECKING:
    from torch import Tensor

EVERY_MODE_ASSIGNED = "assigns every mode itself, so there is no free choice to watch"
"""Why an objective does not read rl.guard."""
OWN_ADVANTAGE = "has an advantage of its own"
"""Why an objective does not read rl.baseline."""
STD_EPSILON = 1e-6
"""Keeps a group without variance from dividing by zero; its advantages are 0 either way."""


class ScoredGroups(NamedTuple):
    """The rewards of one step, with what some objectives compare them by; float64, shape (P, G)."""

    rewards_PG: Tensor
    short_PG: Tensor
    think_PG: Tensor
    """A rollout that is neither short nor think is malformed."""
    correct_PG: Tensor
    """Whether the verdict is `correct`."""
    num_tokens_PG: Tensor
    """Length of the completion, control token included."""
    verdicts: tuple[tuple[Verdict, ...], ...]
    """The verdicts themselves, by prompt and rollout: with their reason, extracted answer and score."""
    reference_accuracy_P: Tensor | None
    """Accuracy of the warm-up model's thinking; None if the objective asks for no reference samples."""


class GroupAdvantages(NamedTuple):
    """Advantage of each rollout's control token and of its response tokens, shape (P, G)."""

    control_PG: Tensor
    response_PG: Tensor


class Denominators(NamedTuple):
    """Denominators of means, counted over the whole optimiser step."""

    num_rollouts: int
    num_response_tokens: int
    """Completion tokens after the control token, over all rollouts."""
    max_new_tokens: int
    """Limit of a completion at this step."""


class TokenWeights(NamedTuple):
    """Weight of each token in the policy term and in the KL term, shape (B, T); 0 on padding."""

    policy_BT: Tensor
    kl_BT: Tensor


class Objective(ObjectiveConfig):
    """One way to learn when to think.

    Every method has a default (together they are GRPO), so an objective of your own says what it does otherwise:

        # my_objectives.py
        from pydantic import Field

        from thinkless_core.rl.objectives.objective import GroupAdvantages, Objective

        class LeaveOneOut(Objective):
            # RLOO: each rollout is compared with the mean of the others.
            control_factor: float = Field(1.0, gt=0)

            def advantages(self, groups, *, step):
                rewards_PG = groups.rewards_PG
                others_PG = rewards_PG.sum(dim=1, keepdim=True) - rewards_PG
                response_PG = rewards_PG - others_PG / (rewards_PG.shape[1] - 1)
                return GroupAdvantages(self.control_factor * response_PG, response_PG)

    and is chosen in a profile:

        [rl.objective]
        name = "my_objectives.py:LeaveOneOut"
        control_factor = 0.5
    """

    def assign_modes(self, group_size: int) -> tuple[AssignedMode, ...]:
        """Who chooses the mode, for each rollout of a group."""
        return free_choice(group_size)

    @cancelling
    def advantages(self, groups: ScoredGroups, *, step: StepSettings) -> GroupAdvantages:
        """How much better each rollout did than what it is compared with."""
        advantages_PG = group_relative_advantages(groups.rewards_PG, baseline=step.baseline)
        return GroupAdvantages(advantages_PG, advantages_PG)

    def token_weights(self, mask_BT: Tensor, *, over: Denominators, step: StepSettings) -> TokenWeights:
        """The weights of one micro-batch; `over` is counted over the whole step."""
        weights_BT = mean_per_rollout(mask_BT, over=over)
        return TokenWeights(weights_BT, weights_BT)


def mean_per_rollout(mask_BT: Tensor, *, over: Denominators) -> Tensor:
    """1 / (B (T_i + 1)) on every token: the mean over rollouts of the mean over tokens.

    It weighs the KL term of most objectives, so that the metric `kl` means the same under all of them.
    """
    lengths_B1 = mask_BT.sum(dim=1, keepdim=True)
    return mask_BT * 1.0 / (over.num_rollouts * lengths_B1)


def one_constant(mask_BT: Tensor, *, over: Denominators) -> TokenWeights:
    """1 / (B L) on every token of the step, L the limit of a completion; KL as in other objectives."""
    weights_BT = mask_BT * 1.0 / (over.num_rollouts * over.max_new_tokens)
    return TokenWeights(weights_BT, mean_per_rollout(mask_BT, over=over))


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
