"""What must hold of the loss and its KL term, as functions of the module that implements them.

The unit tests call each check on the real module, the mutant test calls the same check on a damaged copy of it.
Every check raises AssertionError where the module is wrong. The same holds of training_checks and rollout_checks.

Shapes: B rollouts, T completion tokens.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from tests.oracles import method as oracle
from thinkless_core.degrpo import StepCounts
from thinkless_core.seeding import random_stream

OBJECTIVES = ("paper", "token", "grpo")


def padded(rows: Sequence[Sequence[float]], *, fill: float) -> Tensor:
    """Ragged rows as a float64 tensor (B, T)."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows], dtype=torch.float64)


def random_rows(seed: int, *, lengths: Sequence[int], spread: float = 0.0, around: Any = None) -> list[list[float]]:
    """Log-probabilities, ragged; `around` other rows at distance `spread` where given."""
    stream = random_stream("rows", seed)
    if around is None:
        return [[float(-x) for x in stream.exponential(1.5, size=n)] for n in lengths]
    return [[float(x + spread * stream.standard_normal()) for x in row] for row in around]


def step_loss(
    degrpo: ModuleType,
    logprobs: Sequence[Sequence[float]],
    *,
    old: Sequence[Sequence[float]],
    reference: Sequence[Sequence[float]] | None = None,
    advantages: Sequence[float],
    objective: str = "paper",
    alpha: float = 0.3,
    beta: float = 0.0,
    clip_low: float = 0.2,
    clip_high: float = 0.25,
    fill: float = 0.0,
) -> tuple[Any, Tensor]:
    """LossTerms of one whole step in float64, and the gradient with respect to the log-probabilities (B, T)."""
    lengths = [len(row) for row in logprobs]
    logprobs_BT = padded(logprobs, fill=fill).requires_grad_()
    terms = degrpo.degrpo_loss(
        logprobs_BT,
        old_logprobs_BT=padded(old, fill=-fill),
        ref_logprobs_BT=None if reference is None else padded(reference, fill=-2 * fill),
        advantages_B=torch.tensor(advantages, dtype=torch.float64),
        completion_mask_BT=torch.tensor([[t < n for t in range(max(lengths))] for n in lengths]),
        objective=objective,
        control_weight=alpha,
        clip_low=clip_low,
        clip_high=clip_high,
        kl_coef=beta,
        counts=StepCounts(len(lengths), sum(lengths) - len(lengths)),
    )
    terms.total.backward()
    return terms, logprobs_BT.grad


def loss_equals_the_oracle(degrpo: ModuleType) -> None:
    """All objectives, with and without KL, ragged, with one-token completions: value, terms and gradient."""
    shapes = ((5, 1, 3, 1, 8), (2, 2), (1, 1, 2), (4,))
    for seed, (objective, lengths, beta) in enumerate(itertools.product(OBJECTIVES, shapes, (0.0, 0.7))):
        logprobs = random_rows(seed, lengths=lengths)
        old = random_rows(seed + 1000, lengths=lengths, around=logprobs, spread=0.3)
        reference = random_rows(seed + 2000, lengths=lengths, around=logprobs, spread=0.8) if beta else None
        advantages = random_stream("advantages", seed).standard_normal(len(lengths)).tolist()
        settings: dict[str, Any] = {
            "old": old,
            "reference": reference,
            "advantages": advantages,
            "objective": objective,
            "alpha": 0.3,
            "beta": beta,
            "clip_low": 0.2,
            "clip_high": 0.25,
        }
        terms, gradient_BT = step_loss(degrpo, logprobs, **settings)
        expected = oracle.degrpo(logprobs, **settings)
        for name in ("total", "control", "response", "kl"):
            value = torch.tensor(getattr(expected, name), dtype=torch.float64)
            torch.testing.assert_close(getattr(terms, name).detach(), value, msg=lambda m, n=name: f"{n}: {m}")
        torch.testing.assert_close(gradient_BT, padded(expected.gradient, fill=0.0))
        assert int(terms.num_clipped) == expected.num_clipped


def clip_hand_cases_hold(degrpo: ModuleType) -> None:
    """One rollout of two tokens, `paper`, alpha 1, so that the loss is -(L_0 + L_1); eps 0.2 below, 0.25 above."""
    # advantage, ratio, L = min(ratio A, clip(ratio, 0.8, 1.25) A), gradient of the loss -L = -ratio A, or 0 where cut
    cases = (
        (2.0, 1.5, 2.5, 0.0),  # clip active above: min(3, 1.25 * 2)
        (2.0, 0.5, 1.0, -1.0),  # a good token that became rarer is not clipped: min(1, 0.8 * 2)
        (-2.0, 0.5, -1.6, 0.0),  # clip active below: min(-1, 0.8 * -2)
        (-2.0, 1.5, -3.0, 3.0),  # a bad token that became likelier is not clipped: min(-3, 1.25 * -2)
        (2.0, 1.1, 2.2, -2.2),  # inside the clip range, both sides are equal
        (-2.0, 0.9, -1.8, 1.8),
    )
    for advantage, ratio, objective_value, slope in cases:
        logprobs, old = [[-1.0, -1.0]], [[-1.0 - math.log(ratio)] * 2]
        terms, gradient_BT = step_loss(degrpo, logprobs, old=old, advantages=[advantage], alpha=1.0)
        expected = torch.tensor(-objective_value, dtype=torch.float64)
        torch.testing.assert_close(terms.control, expected)
        torch.testing.assert_close(terms.response, expected)
        torch.testing.assert_close(gradient_BT, torch.full((1, 2), slope, dtype=torch.float64))
        assert int(terms.num_clipped) == (2 if slope == 0 else 0)


def weight_hand_cases_hold(degrpo: ModuleType) -> None:
    """Ratio 1 and advantage 1, so that the gradient of -loss is the weight of each token.

    Two rollouts: one of a control token and 3 response tokens, one of a control token and 1.
    """
    logprobs = [[-1.0] * 4, [-1.0] * 2]
    expected = {
        # alpha/B = 0.3/2; 1/(B T) = 1/(2*3) and 1/(2*1)
        "paper": [[0.15, 1 / 6, 1 / 6, 1 / 6], [0.15, 0.5]],
        # alpha/B = 0.3/2; 1/sum T = 1/(3+1)
        "token": [[0.15, 0.25, 0.25, 0.25], [0.15, 0.25]],
        # 1/(B (T+1)) = 1/(2*4) and 1/(2*2), alpha has no part in it
        "grpo": [[0.125] * 4, [0.25] * 2],
    }
    for objective, weights in expected.items():
        _, gradient_BT = step_loss(degrpo, logprobs, old=logprobs, advantages=[1.0, 1.0], objective=objective)
        torch.testing.assert_close(-gradient_BT, padded(weights, fill=0.0))
    # A control token alone: no response term, and no division by zero.
    for objective, weight in (("paper", 0.3), ("token", 0.3), ("grpo", 1.0)):
        terms, gradient_BT = step_loss(degrpo, [[-1.0]], old=[[-1.0]], advantages=[1.0], objective=objective)
        torch.testing.assert_close(-gradient_BT, torch.tensor([[weight]], dtype=torch.float64))
        assert float(terms.response) == 0.0


def padding_never_reaches_the_loss(degrpo: ModuleType) -> None:
    """Numbers in padded places, however large, change nothing and get no gradient."""
    logprobs = [[-1.0, -0.5, -2.0], [-0.7]]
    old, reference = [[-1.1, -0.5, -2.2], [-0.6]], [[-0.9, -0.4, -2.0], [-0.8]]
    for objective in OBJECTIVES:
        results = [
            step_loss(
                degrpo,
                logprobs,
                old=old,
                reference=reference,
                advantages=[0.5, -1.5],
                objective=objective,
                beta=0.4,
                fill=fill,
            )
            for fill in (0.0, -1e6, 1e6)
        ]
        for terms, gradient_BT in results[1:]:
            assert torch.equal(terms.total, results[0][0].total)
            assert torch.equal(terms.num_clipped, results[0][0].num_clipped)
            assert torch.equal(gradient_BT, results[0][1])
            assert not gradient_BT[1, 1:].any()


def ratio_one_gives_reinforce(degrpo: ModuleType) -> None:
    """With old = current, the gradient is that of -sum weight A log pi, whatever the clip range."""
    lengths = (3, 1, 6)
    logprobs = random_rows(0, lengths=lengths)
    advantages = [0.75, -0.25, -0.5]
    for objective in OBJECTIVES:
        _, gradient_BT = step_loss(degrpo, logprobs, old=logprobs, advantages=advantages, objective=objective)
        for i, (length, advantage) in enumerate(zip(lengths, advantages, strict=True)):
            for t in range(length):
                weight = {
                    "paper": 0.3 / 3 if t == 0 else 1 / (3 * (length - 1 or 1)),
                    "token": 0.3 / 3 if t == 0 else 1 / 7,
                    "grpo": 1 / (3 * length),
                }[objective]
                torch.testing.assert_close(float(gradient_BT[i, t]), -weight * advantage)


def k3_equals_the_oracle(kl: ModuleType) -> None:
    """Value, sign and gradient of the k3 estimate; 0 where both policies agree."""
    logprobs = random_rows(0, lengths=(6, 6))
    reference = random_rows(1, lengths=(6, 6), around=logprobs, spread=1.0)
    logprobs_BT = padded(logprobs, fill=0.0).requires_grad_()
    estimate_BT = kl.k3_estimate(logprobs_BT, ref_logprobs_BT=padded(reference, fill=0.0))
    expected = [[oracle.k3(x, y) for x, y in zip(*rows, strict=True)] for rows in zip(logprobs, reference, strict=True)]
    torch.testing.assert_close(estimate_BT.detach(), padded(expected, fill=0.0))
    assert bool((estimate_BT >= 0).all())
    estimate_BT.sum().backward()
    slopes = [[1 - math.exp(y - x) for x, y in zip(*r, strict=True)] for r in zip(logprobs, reference, strict=True)]
    torch.testing.assert_close(logprobs_BT.grad, padded(slopes, fill=0.0))
    assert not kl.k3_estimate(logprobs_BT, ref_logprobs_BT=logprobs_BT).any()
