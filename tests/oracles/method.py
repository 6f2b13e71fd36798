"""The method in loops over plain Python floats (float64): slow, obvious, written from the paper and not from the code.

rewards -> advantages -> token losses and their gradients -> totals
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

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


def clipped_loss(
    logprobs: Rows,
    *,
    old: Rows,
    reference: Rows | None,
    weights: Rows,
    kl_weights: Rows,
    control_advantages: Sequence[float],
    response_advantages: Sequence[float],
    importance: Sequence[float] | None = None,
    clip_low: float,
    clip_high: float,
    beta: float,
) -> Loss:
    """-J of one optimiser step; J = sum_it w_it L_it - beta sum_it v_it KL_it, w_i0 times the importance of token 0."""
    loss = Loss()
    for i, row in enumerate(logprobs):
        gradient = []
        for t, logprob in enumerate(row):
            advantage = control_advantages[i] if t == 0 else response_advantages[i]
            weight = weights[i][t]
            if t == 0 and importance is not None:
                weight *= importance[i]
            ratio = math.exp(logprob - old[i][t])
            bounded = 1 - clip_low if ratio < 1 - clip_low else 1 + clip_high if ratio > 1 + clip_high else ratio
            free, clipped = ratio * advantage, bounded * advantage
            value = -weight * (free if free <= clipped else clipped)
            slope = -weight * ratio * advantage if free <= clipped else 0.0
            loss.num_clipped += clipped < free
            if t == 0:
                loss.control += value
            else:
                loss.response += value
            if reference is not None:
                loss.kl += kl_weights[i][t] * k3(logprob, reference[i][t])
                slope += beta * kl_weights[i][t] * (1 - math.exp(reference[i][t] - logprob))
            gradient.append(slope)
        loss.gradient.append(gradient)
    loss.total = loss.control + loss.response + beta * loss.kl
    return loss
