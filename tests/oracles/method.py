"""The method in loops over plain Python floats (float64): slow, obvious, written from the paper and not from the code.

rewards -> advantages -> token losses and their gradients -> totals
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Rows = Sequence[Sequence[float]]
"""One list per rollout, as long as its completion; entry 0 is the control token."""


def advantages(rewards: Rows, *, divide_by_deviation: bool = False) -> list[list[float]]:
    """A_i = r_i - mean of the group; GRPO divides by the group's (population) standard deviation as well."""
    result = []
    for group in rewards:
        total = 0.0
        for reward in group:
            total += reward
        mean = total / len(group)
        centred = [reward - mean for reward in group]
        if divide_by_deviation:
            variance = 0.0
            for difference in centred:
                variance += difference * difference / len(group)
            centred = [difference / (math.sqrt(variance) + 1e-6) for difference in centred]
        result.append(centred)
    return result


def k3(logprob: float, reference: float) -> float:
    """exp(d) - d - 1 with d = log reference - log policy."""
    difference = reference - logprob
    return math.exp(difference) - difference - 1.0


@dataclass
class Loss:
    """What one optimiser step's loss comes to, and its gradient with respect to every log-probability."""

    total: float = 0.0
    control: float = 0.0
    response: float = 0.0
    kl: float = 0.0
    num_clipped: int = 0
    gradient: list[list[float]] = field(default_factory=list)


def degrpo(
    logprobs: Rows,
    *,
    old: Rows,
    reference: Rows | None,
    advantages: Sequence[float],
    objective: Literal["paper", "token", "grpo"],
    alpha: float,
    clip_low: float,
    clip_high: float,
    beta: float,
) -> Loss:
    """-J of one optimiser step; J = 1/B sum_i [ alpha L_i0 + 1/T_i sum_t L_it ] - beta KL for `paper`."""
    num_rollouts = len(logprobs)
    num_responses = sum(len(row) - 1 for row in logprobs)
    loss = Loss()
    for i, row in enumerate(logprobs):
        gradient = []
        for t, logprob in enumerate(row):
            if objective == "grpo":
                weight = kl_weight = 1 / num_rollouts / len(row)
            elif objective == "paper":
                weight = alpha / num_rollouts if t == 0 else 1 / num_rollouts / (len(row) - 1)
                kl_weight = 1 / num_rollouts / len(row)
            else:
                weight = alpha / num_rollouts if t == 0 else 1 / num_responses
                kl_weight = 1 / (num_responses + num_rollouts)
            ratio = math.exp(logprob - old[i][t])
            bounded = 1 - clip_low if ratio < 1 - clip_low else 1 + clip_high if ratio > 1 + clip_high else ratio
            free, clipped = ratio * advantages[i], bounded * advantages[i]
            value = -weight * (free if free <= clipped else clipped)
            slope = -weight * ratio * advantages[i] if free <= clipped else 0.0
            loss.num_clipped += clipped < free
            if t == 0:
                loss.control += value
            else:
                loss.response += value
            if reference is not None:
                loss.kl += kl_weight * k3(logprob, reference[i][t])
                slope += beta * kl_weight * (1 - math.exp(reference[i][t] - logprob))
            gradient.append(slope)
        loss.gradient.append(gradient)
    loss.total = loss.control + loss.response + beta * loss.kl
    return loss
