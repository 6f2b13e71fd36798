"""DeGRPO and its reward for verl 0.9, as plug-in files of it: see the README.md beside this file.

Not run with verl, which did not install beside this project's packages: its registration functions and the arithmetic
are tested, with stand-ins of verl's functions, in tests/unit/tasks/exchange/test_verl_degrpo.py.

    verl's sampler -> compute_score (reward per completion) -> adv_estimator=grpo, norm_adv_by_std_in_grpo=False
    -> policy loss `degrpo`: control token and response apart (Thinkless, arXiv 2505.13379, eq. 4)

Differs from the pipeline: the mode is read off the text, as verl gives a reward no token ids; the response is a mean
over tokens (objective `degrpo-token`), as verl's own losses are.

Shapes: B rollouts of a micro-batch, T completion tokens (index 0 = control token).
"""

from __future__ import annotations

import json
import os
from typing import Any

import torch
from verl.trainer.ppo.core_algos import agg_loss, register_policy_loss

from schemas.mode import Mode
from schemas.records.problems import Problem
from thinkless_core.grading.verifier import judge_completions

ALPHA = float(os.environ.get("DEGRPO_ALPHA", "1e-3"))
"""Weight of the control token's loss."""
GAMMA = float(os.environ.get("DEGRPO_GAMMA", "0.5"))
"""Discount of thinking."""


def compute_score(data_source: str, solution_str: str, ground_truth: str, extra_info: Any = None, **_: Any) -> float:
    """1 for a right short answer, 1 - gamma for a right long one, -1 otherwise (Thinkless, section 3.2).

    `custom_reward_function.path=verl_degrpo.py`; verl hands over the text with its special tokens.
    """
    mode = next((mode for mode in Mode if solution_str.startswith(mode.token)), None)
    if mode is None:
        return -1.0
    problem = Problem.model_validate(json.loads((extra_info or {})["problem"]))
    (verdict,) = judge_completions([problem], [solution_str])
    if verdict is None or not verdict.correct:
        return -1.0
    return 1.0 if mode is Mode.SHORT else 1.0 - GAMMA


@register_policy_loss("degrpo")  # type: ignore[untyped-decorator]
def degrpo(
    old_log_prob: torch.Tensor,
    log_prob: torch.Tensor,
    advantages: torch.Tensor,
    response_mask: torch.Tensor,
    loss_agg_mode: str = "token-mean",
    config: Any = None,
    rollout_is_weights: torch.Tensor | None = None,
) -> tuple[torch.Tensor, dict[str, float]]:
    """alpha times the mean over control tokens, plus the mean over response tokens; all arguments (B, T)."""
    ratio_BT = (log_prob - old_log_prob).exp()
    clipped_BT = ratio_BT.clamp(1 - config.clip_ratio, 1 + config.clip_ratio)
    loss_BT = -torch.minimum(ratio_BT * advantages, clipped_BT * advantages)
    if rollout_is_weights is not None:
        loss_BT = loss_BT * rollout_is_weights
    control_BT, responses_BT = response_mask.clone(), response_mask.clone()
    control_BT[:, 1:] = 0
    responses_BT[:, 0] = 0
    info = dict(config.global_batch_info)
    control = agg_loss(loss_mat=loss_BT, loss_mask=control_BT, loss_agg_mode="seq-mean-token-sum", **info)
    if info.get("batch_num_tokens") is not None:  # of the whole step; every rollout has one control token
        info["batch_num_tokens"] -= info["global_batch_size"]
    response = agg_loss(loss_mat=loss_BT, loss_mask=responses_BT, loss_agg_mode="token-mean", **info)
    parts = {"actor/control_loss": float(control.detach()), "actor/response_loss": float(response.detach())}
    return ALPHA * control + response, parts
