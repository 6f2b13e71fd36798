"""Every objective in loops over plain Python floats, written from its paper and from the table of its file's docstring.

(name, lengths) -> weights;  (reward's name, mode, verdict) -> reward;  (name, rewards, modes) -> advantages
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

REWARDS = {
    "grpo": "thinkless",
    "dr_grpo": "thinkless",
    "degrpo-paper": "thinkless",
    "degrpo-token": "thinkless",
    "adaptthink": "short-bonus",
    "hgpo": "correct",
    "ada-grpo": "thinkless",
    "length-truncation": "right-or-wrong",
}
"""Every objective, with the reward it is meant for."""
NAMES = tuple(REWARDS)
Mode = str | None
"""`short`, `think` or None for malformed."""
Rows = list[list[float]]


class Weights(NamedTuple):
    """One list per rollout, entry 0 the control token."""

    policy: Rows
    kl: Rows


def token_weights(name: str, lengths: Sequence[int], *, alpha: float, limit: int) -> Weights:
    """w_it and v_it of one step whose rollouts have `lengths` completion tokens (control token included)."""
    rollouts = len(lengths)
    responses = 0
    for length in lengths:
        responses += length - 1
    weights = Weights([], [])
    for length in lengths:
        policy, kl = [], []
        for t in range(length):
            mean = 1.0 / (rollouts * length)
            if name in ("grpo", "ada-grpo"):
                w, v = mean, mean
            elif name in ("dr_grpo", "adaptthink", "hgpo"):
                w, v = 1.0 / (rollouts * limit), mean
            elif name == "degrpo-paper":
                w, v = (alpha / rollouts if t == 0 else 1.0 / (rollouts * (length - 1))), mean
            elif name == "degrpo-token":
                w, v = (alpha / rollouts if t == 0 else 1.0 / responses), 1.0 / (responses + rollouts)
            elif name == "length-truncation":
                w = v = 0.0 if t == 0 else 1.0 / responses
            else:
                raise KeyError(name)
            policy.append(w)
            kl.append(v)
        weights.policy.append(policy)
        weights.kl.append(kl)
    return weights


def reward(name: str, mode: Mode, *, correct: bool, fake_short: bool, gamma: float, delta: float) -> float:
    """What one rollout earns, by the reward's name."""
    if name == "correct":
        return 1.0 if correct else 0.0
    if name == "short-bonus":
        return (1.0 if correct else 0.0) + (delta if mode == "short" and not fake_short else 0.0)
    if name == "right-or-wrong":
        return 1.0 if correct else -1.0
    if not correct or mode is None:
        return -1.0
    return 1.0 if mode == "short" and not fake_short else 1.0 - gamma


def z_scores(values: Sequence[float]) -> list[float]:
    """(x - mean) / (population deviation + 1e-6)."""
    mean = 0.0
    for value in values:
        mean += value / len(values)
    variance = 0.0
    for value in values:
        variance += (value - mean) ** 2 / len(values)
    return [(value - mean) / (math.sqrt(variance) + 1e-6) for value in values]


def less_mean(values: Sequence[float]) -> list[float]:
    """x - mean."""
    mean = 0.0
    for value in values:
        mean += value / len(values)
    return [value - mean for value in values]


class Advantages(NamedTuple):
    """One list per group."""

    control: Rows
    response: Rows


def advantages(
    name: str,
    rewards: Rows,
    modes: Sequence[Sequence[Mode]],
    *,
    divide: bool,
    alpha: float,
    margin: float,
    step: int,
    num_steps: int,
    reference: Sequence[float],
) -> Advantages:
    """A of control token and response, group by group."""
    result = Advantages([], [])
    baseline = z_scores if divide else less_mean
    for p, group in enumerate(rewards):
        if name == "adaptthink":
            control = response = [r - reference[p] for r in group]
        elif name == "hgpo":
            control, response = _hgpo(group, modes[p], alpha=alpha, margin=margin)
        elif name == "dr_grpo":
            control = response = less_mean(group)
        elif name == "ada-grpo":
            scaled = []
            for i, r in enumerate(group):
                same = 0
                for mode in modes[p]:
                    same += mode == modes[p][i]
                decay = 0.5 * (1 + math.cos(math.pi * step / num_steps))
                factor = 1 + (len(group) / same - 1) * decay
                scaled.append(r * factor if r > 0 else r)
            control = response = baseline(scaled)
        else:
            control = response = baseline(group)
        result.control.append(list(control))
        result.response.append(list(response))
    return result


def _hgpo(
    group: Sequence[float], modes: Sequence[Mode], *, alpha: float, margin: float
) -> tuple[list[float], list[float]]:
    means = {}
    intra = [0.0] * len(group)
    for mode in ("short", "think"):
        members = [i for i, m in enumerate(modes) if m == mode]
        total = 0.0
        best = -math.inf
        for i in members:
            total += group[i]
            best = max(best, group[i])
        means[mode] = total / len(members)
        scores = z_scores([1.0 if group[i] == best else 0.0 for i in members])
        for i, score in zip(members, scores, strict=True):
            intra[i] = score
    better = "think" if means["think"] > means["short"] + margin else "short"
    inter = z_scores([1.0 if mode == better else 0.0 for mode in modes])
    return [a + alpha * b for a, b in zip(intra, inter, strict=True)], intra
