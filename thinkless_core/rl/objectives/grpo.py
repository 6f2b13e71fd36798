"""`grpo`: every token of a rollout weighs the same, the control token included. The baseline that may collapse.

Source: GRPO, DeepSeekMath (arXiv 2402.03300, eq. 3), as Thinkless (arXiv 2505.13379, section 3.2) writes it with a
control token and compares itself with.

    assign   the policy chooses
    reward   1 correct and short, 1 - gamma correct and think, -1 wrong or malformed
    A_i      r_i - mean_group(r)                    (rl.baseline = "mean_std" divides by the group's deviation)
    w_it     1 / (B (T_i + 1))   for t = 0..T_i
    v_it     1 / (B (T_i + 1))

A short answer's control token weighs 1/(T_short + 1), a thinking one's 1/(T_think + 1): the longer thinking is, the
less is learned from having chosen it. That is the imbalance Thinkless blames for the loss of a mode.
Differs from the source: no division by the deviation by default, as in Thinkless's own baseline. The authors' switch
for "vanilla" GRPO is a mean over all tokens of a micro-batch, which has no such imbalance; this is the paper's.
"""

from __future__ import annotations

from typing import Literal

from thinkless_core.rl.objectives.objective import Objective


class Grpo(Objective):
    """GRPO: every default of `Objective`."""

    name: Literal["grpo"] = "grpo"
