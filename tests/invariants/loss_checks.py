"""What must hold of the loss and its KL term, as functions of the module that implements them.

The unit tests call each check on the real module, the mutant test calls the same check on a damaged copy of it.
Every check raises AssertionError where the module is wrong. The same holds of objective_checks, training_checks and
rollout_checks.

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
from tests.oracles import objectives as objective_oracle
from tests.oracles.objectives import NAMES
from tests.specimens import make_objective, rl_config
from thinkless_core.rl.objectives.objective import Denominators
from thinkless_core.rl.schedules import settings_at
from thinkless_core.seeding import random_stream

STEP = settings_at(rl_config(), step=1)
LIMIT = 10
"""Limit of a completion, rl.max_new_tokens."""


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
    module: ModuleType,
    logprobs: Sequence[Sequence[float]],
    *,
    old: Sequence[Sequence[float]],
    reference: Sequence[Sequence[float]] | None = None,
    advantages: Sequence[float],
    control_advantages: Sequence[float] | None = None,
    importance: Sequence[float] | None = None,
    objective: str = "degrpo-paper",
    alpha: float = 0.3,
    beta: float = 0.0,
    clip_low: float = 0.2,
    clip_high: float = 0.25,
    fill: float = 0.0,
) -> tuple[Any, Tensor]:
    """PolicyLoss of one whole step in float64, and the gradient with respect to the log-probabilities (B, T).

    `alpha` is the weight of the control token, in objectives that have one.
    """
    lengths = [len(row) for row in logprobs]
    logprobs_BT = padded(logprobs, fill=fill).requires_grad_()
    mask_BT = torch.tensor([[t < n for t in range(max(lengths))] for n in lengths])
    over = Denominators(len(lengths), sum(lengths) - len(lengths), LIMIT)
    decoupled = {"alpha": alpha} if objective.startswith("degrpo") else {}
    weights = make_objective(objective, **decoupled).token_weights(mask_BT, over=over, step=STEP)
    loss = module.policy_loss(
        logprobs_BT,
        old_logprobs_BT=padded(old, fill=-fill),
        ref_logprobs_BT=None if reference is None else padded(reference, fill=-2 * fill),
        control_advantages_B=torch.tensor(control_advantages or advantages, dtype=torch.float64),
        response_advantages_B=torch.tensor(advantages, dtype=torch.float64),
        completion_mask_BT=mask_BT,
        weights=weights,
        control_importance_B=None if importance is None else torch.tensor(importance, dtype=torch.float64),
        clip_low=clip_low,
        clip_high=clip_high,
        kl_coef=beta,
    )
    loss.total.backward()
    return loss, logprobs_BT.grad


def loss_equals_the_oracle(module: ModuleType) -> None:
    """All objectives, with and without KL, ragged, with one-token completions: value, terms and gradient.

    Every second case has another advantage for control tokens, and importance weights on them.
    """
    shapes = ((5, 1, 3, 1, 8), (2, 2), (1, 1, 2), (4,))
    for seed, (objective, lengths, beta) in enumerate(itertools.product(NAMES, shapes, (0.0, 0.7))):
        stream = random_stream("advantages", seed)
        apart = seed % 4 < 2
        logprobs = random_rows(seed, lengths=lengths)
        old = random_rows(seed + 1000, lengths=lengths, around=logprobs, spread=0.3)
        reference = random_rows(seed + 2000, lengths=lengths, around=logprobs, spread=0.8) if beta else None
        advantages = stream.standard_normal(len(lengths)).tolist()
        control_advantages = stream.standard_normal(len(lengths)).tolist() if apart else advantages
        importance = stream.uniform(0.0, 2.0, size=len(lengths)).tolist() if apart else None
        loss, gradient_BT = step_loss(
            module,
            logprobs,
            old=old,
            reference=reference,
            advantages=advantages,
            control_advantages=control_advantages,
            importance=importance,
            objective=objective,
            beta=beta,
        )
        weights = objective_oracle.token_weights(objective, lengths, alpha=0.3, limit=LIMIT)
        expected = oracle.clipped_loss(
            logprobs,
            old=old,
            reference=reference,
            weights=weights.policy,
            kl_weights=weights.kl,
            control_advantages=control_advantages,
            response_advantages=advantages,
            importance=importance,
            clip_low=0.2,
            clip_high=0.25,
            beta=beta,
        )
        assert float(loss.total.detach()) == float(loss.sums["loss"])
        for name, term in (("loss", "total"), ("control_loss", "control"), ("response_loss", "response"), ("kl", "kl")):
            value = torch.tensor(getattr(expected, term), dtype=torch.float64)
            # Weights are made in float32, the rest is float64.
            torch.testing.assert_close(loss.sums[name], value, rtol=2e-7, atol=1e-8, msg=lambda m, n=name: f"{n}: {m}")
        torch.testing.assert_close(gradient_BT, padded(expected.gradient, fill=0.0), rtol=2e-7, atol=1e-8)
        assert int(loss.sums["clipped"].sum()) == expected.num_clipped
        assert loss.sums["tokens"].tolist() == list(lengths)


def clip_hand_cases_hold(module: ModuleType) -> None:
    """One rollout of two tokens, `degrpo-paper`, alpha 1, so the loss is -(L_0 + L_1); eps 0.2 below, 0.25 above."""
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
        loss, gradient_BT = step_loss(module, logprobs, old=old, advantages=[advantage], alpha=1.0)
        expected = torch.tensor(-objective_value, dtype=torch.float64)
        torch.testing.assert_close(loss.sums["control_loss"], expected)
        torch.testing.assert_close(loss.sums["response_loss"], expected)
        torch.testing.assert_close(gradient_BT, torch.full((1, 2), slope, dtype=torch.float64))
        assert loss.sums["clipped"].tolist() == [2 if slope == 0 else 0]


def importance_hand_cases_hold(module: ModuleType) -> None:
    """A control token drawn with q = 0.5 that the policy gives 0.1 counts a fifth, and the clip does not see that."""
    logprobs = [[math.log(0.1), -1.0], [math.log(0.9), -1.0]]
    settings: dict[str, Any] = {"advantages": [1.0, 1.0], "alpha": 1.0, "importance": [0.1 / 0.5, 0.9 / 0.5]}
    # Two rollouts: control tokens weigh alpha / B = 0.5 each, times 0.2 and 1.8; responses 1 / (B T) = 0.5.
    _, gradient_BT = step_loss(module, logprobs, old=logprobs, **settings)
    torch.testing.assert_close(-gradient_BT, torch.tensor([[0.1, 0.5], [0.9, 0.5]], dtype=torch.float64))
    # rho = pi / pi_old is clipped: at 1.5 the first is cut, though pi / q = 0.3 is far below 1.25.
    moved = [[math.log(0.15), -1.0], [math.log(0.9), -1.0]]
    loss, gradient_BT = step_loss(module, moved, old=logprobs, **settings)
    torch.testing.assert_close(-gradient_BT, torch.tensor([[0.0, 0.5], [0.9, 0.5]], dtype=torch.float64))
    assert loss.sums["clipped"].tolist() == [1, 0]


def control_and_response_advantages_stay_apart(module: ModuleType) -> None:
    """Ratio 1: the control token's gradient has its advantage, the response's the other."""
    logprobs = [[-1.0] * 3]
    _, gradient_BT = step_loss(module, logprobs, old=logprobs, advantages=[-2.0], control_advantages=[3.0], alpha=1.0)
    # 1 * 3 on the control token, 1/2 * -2 on each of two response tokens.
    torch.testing.assert_close(-gradient_BT, torch.tensor([[3.0, -1.0, -1.0]], dtype=torch.float64))


def padding_never_reaches_the_loss(module: ModuleType) -> None:
    """Numbers in padded places, however large, change nothing and get no gradient."""
    logprobs = [[-1.0, -0.5, -2.0], [-0.7]]
    old, reference = [[-1.1, -0.5, -2.2], [-0.6]], [[-0.9, -0.4, -2.0], [-0.8]]
    for objective in NAMES:
        results = [
            step_loss(
                module,
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
        for loss, gradient_BT in results[1:]:
            assert torch.equal(loss.total, results[0][0].total)
            assert torch.equal(loss.sums["clipped"], results[0][0].sums["clipped"])
            assert torch.equal(gradient_BT, results[0][1])
            assert not gradient_BT[1, 1:].any()


def ratio_one_gives_reinforce(module: ModuleType) -> None:
    """With old = current, the gradient is that of -sum weight A log pi, whatever the clip range."""
    lengths = (3, 1, 6)
    logprobs = random_rows(0, lengths=lengths)
    advantages = [0.75, -0.25, -0.5]
    for objective in NAMES:
        _, gradient_BT = step_loss(module, logprobs, old=logprobs, advantages=advantages, objective=objective)
        weights = objective_oracle.token_weights(objective, lengths, alpha=0.3, limit=LIMIT).policy
        expected = [[-w * a for w in row] for row, a in zip(weights, advantages, strict=True)]
        # weights are made in float32
        torch.testing.assert_close(gradient_BT, padded(expected, fill=0.0), rtol=2e-7, atol=1e-8)


def k3_equals_the_oracle(module: ModuleType) -> None:
    """Value, sign and gradient of the k3 estimate; 0 where both policies agree."""
    logprobs = random_rows(0, lengths=(6, 6))
    reference = random_rows(1, lengths=(6, 6), around=logprobs, spread=1.0)
    logprobs_BT = padded(logprobs, fill=0.0).requires_grad_()
    estimate_BT = module.k3_estimate(logprobs_BT, ref_logprobs_BT=padded(reference, fill=0.0))
    expected = [[oracle.k3(x, y) for x, y in zip(*rows, strict=True)] for rows in zip(logprobs, reference, strict=True)]
    torch.testing.assert_close(estimate_BT.detach(), padded(expected, fill=0.0))
    assert bool((estimate_BT >= 0).all())
    estimate_BT.sum().backward()
    slopes = [[1 - math.exp(y - x) for x, y in zip(*r, strict=True)] for r in zip(logprobs, reference, strict=True)]
    torch.testing.assert_close(logprobs_BT.grad, padded(slopes, fill=0.0))
    assert not module.k3_estimate(logprobs_BT, ref_logprobs_BT=logprobs_BT).any()
