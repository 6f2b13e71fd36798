"""What must hold of an objective, as functions of the module that holds it.

Each file of thinkless_core/rl/objectives defines exactly one objective; a check takes the module, so that a damaged
copy can be checked like the real one. The base class, Objective, is GRPO.

Shapes: P prompts, G group, B rollouts, T completion tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

from schemas.configs.objective import ObjectiveConfig
from schemas.mode import Mode
from tests.invariants.loss_checks import LIMIT, padded
from tests.oracles import objectives as oracle
from tests.specimens import RIGHT, WRONG, make_judged, rl_config
from thinkless_core.rl.objectives.objective import Denominators, Objective, ScoredGroups
from thinkless_core.rl.schedules import settings_at
from thinkless_core.seeding import random_stream

ALPHA, DELTA, MARGIN, STEP, NUM_STEPS = 0.3, 0.07, 0.3, 3, 8
SHAPES = ((5, 1, 3, 1, 8), (2, 2), (1, 1, 2), (4,))


def objective_of(module: ModuleType, **fields: object) -> Objective:
    """The objective a module defines, with those of the fields that it has; others as in this file's constants."""
    (found,) = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ObjectiveConfig) and value.__module__ == module.__name__
    ]
    usual = {"alpha": ALPHA, "inter_weight": ALPHA, "margin": MARGIN, "delta": DELTA, "reference_samples": 2}
    built: Objective = found(**{name: value for name, value in (usual | fields).items() if name in found.model_fields})
    return built


def name_of(objective: Objective) -> str:
    """The oracle's name of an objective."""
    return objective.name or "grpo"


@contextmanager
def float64_by_default() -> Iterator[None]:
    """Weights take the default type; in float64 they can be compared at default tolerances."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def groups_of(
    rewards: Sequence[Sequence[float]],
    modes: Sequence[Sequence[str | None]],
    *,
    reference: Sequence[float] | None = None,
) -> ScoredGroups:
    """Groups made by hand."""
    return ScoredGroups(
        rewards_PG=torch.tensor(rewards, dtype=torch.float64),
        short_PG=torch.tensor([[mode == "short" for mode in group] for group in modes]),
        think_PG=torch.tensor([[mode == "think" for mode in group] for group in modes]),
        correct_PG=torch.tensor(rewards) > 0,
        num_tokens_PG=torch.full((len(rewards), len(rewards[0])), 3.0, dtype=torch.float64),
        verdicts=tuple(tuple(RIGHT if reward > 0 else WRONG for reward in group) for group in rewards),
        reference_accuracy_P=None if reference is None else torch.tensor(reference, dtype=torch.float64),
    )


def weights_equal_the_oracle(module: ModuleType) -> None:
    """Policy and KL weights of whole steps, and of each rollout in a micro-batch of its own; 0 on padding."""
    objective, step = objective_of(module), settings_at(rl_config(), step=1)
    with float64_by_default():
        for lengths in SHAPES:
            expected = oracle.token_weights(name_of(objective), lengths, alpha=ALPHA, limit=LIMIT)
            mask_BT = torch.tensor([[t < n for t in range(max(lengths))] for n in lengths])
            over = Denominators(len(lengths), sum(lengths) - len(lengths), LIMIT)
            whole = objective.token_weights(mask_BT, over=over, step=step)
            torch.testing.assert_close(whole.policy_BT, padded(expected.policy, fill=0.0))
            torch.testing.assert_close(whole.kl_BT, padded(expected.kl, fill=0.0))
            for row in range(len(lengths)):
                alone = objective.token_weights(mask_BT[row : row + 1], over=over, step=step)
                assert torch.equal(alone.policy_BT[0], whole.policy_BT[row])
                assert torch.equal(alone.kl_BT[0], whole.kl_BT[row])


def advantages_equal_the_oracle(module: ModuleType) -> None:
    """Random groups of several sizes, early and at the end of the run, both baselines."""
    objective = objective_of(module)
    in_halves = objective.assign_modes(4)[0].mode is Mode.SHORT
    cases = itertools.product(((3, 4), (5, 8)), (1, STEP, NUM_STEPS), ("mean", "mean_std"))
    for seed, ((num_prompts, group), step, baseline) in enumerate(cases):
        stream = random_stream("groups", name_of(objective), seed)
        if in_halves:
            modes: list[list[Any]] = [["short"] * (group // 2) + ["think"] * (group // 2)] * num_prompts
            rewards = stream.choice([0.0, 1.0], size=(num_prompts, group)).tolist()
        else:
            modes = [[("short", "think", None)[i] for i in stream.integers(3, size=group)] for _ in range(num_prompts)]
            rewards = stream.choice([1.0, 0.6, -1.0], size=(num_prompts, group)).tolist()
        reference = stream.uniform(size=num_prompts).tolist()
        config = rl_config(steps=NUM_STEPS, baseline=baseline)
        actual = objective.advantages(
            groups_of(rewards, modes, reference=reference), step=settings_at(config, step=step)
        )
        expected = oracle.advantages(
            name_of(objective),
            rewards,
            modes,
            divide=baseline == "mean_std",
            alpha=ALPHA,
            margin=MARGIN,
            step=step,
            num_steps=NUM_STEPS,
            reference=reference,
        )
        torch.testing.assert_close(actual.control_PG, torch.tensor(expected.control, dtype=torch.float64))
        torch.testing.assert_close(actual.response_PG, torch.tensor(expected.response, dtype=torch.float64))
        assert bool((actual.response_PG.sum(dim=1).abs() < 1e-9).all()) == objective.advantages_cancel


def hgpo_hand_cases_hold(module: ModuleType) -> None:
    """Margin 0.2, inter_weight 2; four short rollouts, then four of thinking. One deviation of a half is 0.5 + 1e-6."""
    objective, step = objective_of(module, inter_weight=2.0, margin=0.2), settings_at(rl_config(), step=1)
    modes = [["short"] * 4 + ["think"] * 4]
    one = 0.5 / (0.5 + 1e-6)
    cases = (
        # short right, think right, intra of a right short answer, inter of short
        (2, 4, one, -one),  # 1.0 > 0.5 + 0.2: thinking pays; within short, right ones beat wrong ones by two deviations
        (4, 4, 0.0, one),  # as good: short is better, and nothing is to be told within a mode
        (0, 0, 0.0, one),  # all wrong alike
        (2, 2, one, one),
    )
    for short_right, think_right, intra, inter in cases:
        rewards = [[1.0] * short_right + [0.0] * (4 - short_right) + [1.0] * think_right + [0.0] * (4 - think_right)]
        actual = objective.advantages(groups_of(rewards, modes), step=step)
        control, response = actual.control_PG[0].tolist(), actual.response_PG[0].tolist()
        assert abs(response[0] - intra) < 1e-12
        assert abs(control[0] - (intra + 2 * inter)) < 1e-12
        # Think's tokens have the opposite inter-mode advantage.
        assert abs((control[4] - response[4]) + 2 * inter) < 1e-12
    # A margin that is just not reached: 0.75 is not over 0.5 + 0.25.
    objective = objective_of(module, inter_weight=1.0, margin=0.25)
    rewards = [[1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0]]
    actual = objective.advantages(groups_of(rewards, modes), step=step)
    assert actual.control_PG[0, 0] > actual.response_PG[0, 0], "short is the better mode"


def ada_grpo_hand_cases_hold(module: ModuleType) -> None:
    """One right short answer among three right think ones, gamma 0.5, ten steps."""
    config = rl_config(steps=10, group_size=4)
    groups = groups_of([[1.0, 0.5, 0.5, -1.0]], [["short", "think", "think", "think"]])
    # Step 5 of 10: cos(pi/2) = 0, so f = 1 + 0.5 (G/F - 1): short 1 + 0.5 * 3 = 2.5, think 1 + 0.5 / 3 = 7/6.
    # r' = 2.5, 7/12, 7/12, and -1 as it is; mean 8/12 = 2/3.
    actual = objective_of(module).advantages(groups, step=settings_at(config, step=5))
    expected = torch.tensor([[11 / 6, -1 / 12, -1 / 12, -5 / 3]], dtype=torch.float64)
    torch.testing.assert_close(actual.response_PG, expected)
    torch.testing.assert_close(actual.control_PG, expected)
    # At the last step f = 1: plain rewards over their mean, 0.25.
    actual = objective_of(module).advantages(groups, step=settings_at(config, step=10))
    torch.testing.assert_close(actual.response_PG, torch.tensor([[0.75, 0.25, 0.25, -1.25]], dtype=torch.float64))


def adaptthink_hand_cases_hold(module: ModuleType) -> None:
    """delta 0.05, the warm-up model's thinking right three times in four."""
    objective, step = objective_of(module, delta=0.05), settings_at(rl_config(), step=1)
    assigned = objective.assign_modes(4)
    assert [choice.mode for choice in assigned] == [Mode.SHORT, Mode.SHORT, Mode.THINK, Mode.THINK]
    assert {choice.probability for choice in assigned} == {0.5}
    group = [make_judged(choice.mode, correct=right) for choice, right in zip(assigned, (True, False) * 2, strict=True)]
    rewards = [list(objective.default_reward().build().rewards(group, step=step))]
    actual = objective.advantages(
        groups_of(rewards, [["short", "short", "think", "think"]], reference=[0.75]), step=step
    )
    # 1.05 - 0.75, 0.05 - 0.75, 1 - 0.75, 0 - 0.75: they need not cancel
    torch.testing.assert_close(actual.response_PG, torch.tensor([[0.3, -0.7, 0.25, -0.75]], dtype=torch.float64))
    assert torch.equal(actual.control_PG, actual.response_PG)
