"""Every objective by its name.

    name               modes     reward              advantage of t = 0 / t >= 1       weight of t = 0 / t >= 1
    grpo               free      1, 1 - gamma, -1    r - mean                          1/(B(T+1))
    dr_grpo            free      1, 1 - gamma, -1    r - mean                          1/(BL)
    degrpo-paper       free      1, 1 - gamma, -1    r - mean                          alpha/B      / 1/(BT)
    degrpo-token       free      1, 1 - gamma, -1    r - mean                          alpha/B      / 1/sum T
    adaptthink         halves    1 + delta, 1, 0     r - acc_ref                       2 pi_old/(BL) / 1/(BL)
    hgpo               halves    1, 0                intra + alpha inter / intra       1/(BL)
    ada-grpo           free      1, 1 - gamma, -1    f r - mean, rare modes more       1/(B(T+1))
    length-truncation  think     1, -1               r - mean                          0            / 1/sum T

B rollouts of the step, T response tokens of the rollout, L limit of a completion.
"""

from __future__ import annotations

from collections.abc import Mapping

from schemas.configs.objective import ObjectiveName
from thinkless_core.rl.objectives.ada_grpo import ADA_GRPO
from thinkless_core.rl.objectives.adaptthink import ADAPTTHINK
from thinkless_core.rl.objectives.degrpo_paper import DEGRPO_PAPER
from thinkless_core.rl.objectives.degrpo_token import DEGRPO_TOKEN
from thinkless_core.rl.objectives.dr_grpo import DR_GRPO
from thinkless_core.rl.objectives.grpo import GRPO
from thinkless_core.rl.objectives.hgpo import HGPO
from thinkless_core.rl.objectives.length_truncation import LENGTH_TRUNCATION
from thinkless_core.rl.objectives.objective import Objective

OBJECTIVES: Mapping[ObjectiveName, Objective] = {
    objective.name: objective
    for objective in (
        GRPO,
        DR_GRPO,
        DEGRPO_PAPER,
        DEGRPO_TOKEN,
        ADAPTTHINK,
        HGPO,
        ADA_GRPO,
        LENGTH_TRUNCATION,
    )
}
