"""What must hold of an objective, as functions of the module that holds it.

Each file of thinkless_core/rl/objectives defines exactly one Objective; a check takes the module, so that a damaged
copy can be checked like the real one.

Shapes: P prompts, G group, B rollouts, T completion tokens.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

from schemas.mode import Mode
from tests.invariants.loss_checks import LIMIT, padded
from tests.oracles import objectives as oracle
from tests.specimens import rl_config
from thinkless_core.rl.objectives.objective import Objective, ScoredGroups
from thinkless_core.rl.policy_loss import StepCounts
from thinkless_core.rl.rewards import Verdict
from thinkless_core.rl.schedules import settings_at
from thinkless_core.seeding import random_stream

ALPHA, GAMMA, DELTA, MARGIN, STEP, NUM_STEPS = 0.3, 0.4, 0.07, 0.3, 3, 8
SHAPES = ((5, 1, 3, 1, 8), (2, 2), (1, 1, 2), (4,))


def objective_of(module: ModuleType) -> Objective:
    """The objective a module defines."""
    (found,) = [value for value in vars(module).values() if isinstance(value, Objective)]
    return found


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
        reference_accuracy_P=None if reference is None else torch.tensor(reference, dtype=torch.float64),
    )


def weights_equal_the_oracle(module: ModuleType) -> None:
    """Policy and KL weights of whole steps, and of each rollout in a micro-batch of its own; 0 on padding."""
    objective = objective_of(module)
    with float64_by_default():
        for lengths in SHAPES:
            expected = oracle.token_weights(objective.name, lengths, alpha=ALPHA, limit=LIMIT)
            mask_BT = torch.tensor([[t < n for t in range(max(lengths))] for n in lengths])
            counts = StepCounts(len(lengths), sum(lengths) - len(lengths), LIMIT)
            whole = objective.token_weights(mask_BT, control_weight=ALPHA, counts=counts)
            torch.testing.assert_close(whole.policy_BT, padded(expected.policy, fill=0.0))
            torch.testing.assert_close(whole.kl_BT, padded(expected.kl, fill=0.0))
            for row in range(len(lengths)):
                alone = objective.token_weights(mask_BT[row : row + 1], control_weight=ALPHA, counts=counts)
                assert torch.equal(alone.policy_BT[0], whole.policy_BT[row])
                assert torch.equal(alone.kl_BT[0], whole.kl_BT[row])


def rewards_equal_the_oracle(module: ModuleType) -> None:
    """Every mode, right and wrong, fake short or not."""
    objective = objective_of(module)
    config = rl_config(gamma=GAMMA, adaptthink_delta=DELTA)
    settings = settings_at(config, step=1)
    for mode, correct, fake in itertools.product((Mode.SHORT, Mode.THINK, None), (True, False), (True, False)):
        if (fake and mode is not Mode.SHORT) or (correct and mode is None):
            continue  # there is no such rollout
        actual = objective.reward(Verdict(mode, correct, fake), config=config, settings=settings)
        expected = oracle.reward(
            objective.name,
            None if mode is None else str(mode),
            correct=correct,
            fake_short=fake,
            gamma=GAMMA,
            delta=DELTA,
        )
        assert actual == expected, f"{mode}, correct={correct}, fake={fake}: {actual}, expected {expected}"
        least, most = objective.reward_range(config)
        assert least <= actual <= most


def advantages_equal_the_oracle(module: ModuleType) -> None:
    """Random groups of several sizes, early and at the end of the run, both baselines."""
    objective = objective_of(module)
    in_halves = objective.assign_modes(4)[0].mode is Mode.SHORT
    cases = itertools.product(((3, 4), (5, 8)), (1, STEP, NUM_STEPS), ("mean", "mean_std"))
    for seed, ((num_prompts, group), step, baseline) in enumerate(cases):
        stream = random_stream("groups", objective.name, seed)
        if in_halves:
            modes: list[list[Any]] = [["short"] * (group // 2) + ["think"] * (group // 2)] * num_prompts
            rewards = stream.choice([0.0, 1.0], size=(num_prompts, group)).tolist()
        else:
            modes = [[("short", "think", None)[i] for i in stream.integers(3, size=group)] for _ in range(num_prompts)]
            rewards = stream.choice([1.0, 0.6, -1.0], size=(num_prompts, group)).tolist()
        reference = stream.uniform(size=num_prompts).tolist()
        config = rl_config(group_size=group, alpha=ALPHA, hgpo_margin=MARGIN, steps=NUM_STEPS, advantage=baseline)
        actual = objective.advantages(
            groups_of(rewards, modes, reference=reference), config=config, settings=settings_at(config, step=step)
        )
        expected = oracle.advantages(
            objective.name,
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
    """Margin 0.2, alpha 2; four short rollouts, then four of thinking. One deviation of a half is 0.5 + 1e-6."""
    config = rl_config(group_size=8, alpha=2.0, hgpo_margin=0.2)
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
        actual = objective_of(module).advantages(
            groups_of(rewards, modes), config=config, settings=settings_at(config, step=1)
        )
        control, response = actual.control_PG[0].tolist(), actual.response_PG[0].tolist()
        assert abs(response[0] - intra) < 1e-12
        assert abs(control[0] - (intra + 2 * inter)) < 1e-12
        # Think's tokens have the opposite inter-mode advantage.
        assert abs((control[4] - response[4]) + 2 * inter) < 1e-12
    # A margin that is just not reached: 0.75 is not over 0.5 + 0.25.
    config = rl_config(group_size=8, alpha=1.0, hgpo_margin=0.25)
    rewards = [[1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0]]
    actual = objective_of(module).advantages(
        groups_of(rewards, modes), config=config, settings=settings_at(config, step=1)
    )
    assert actual.control_PG[0, 0] > actual.response_PG[0, 0], "short is the better mode"


def ada_grpo_hand_cases_hold(module: ModuleType) -> None:
    """One right short answer among three right think ones, gamma 0.5, ten steps."""
    config = rl_config(steps=10, group_size=4)
    groups = groups_of([[1.0, 0.5, 0.5, -1.0]], [["short", "think", "think", "think"]])
    # Step 5 of 10: cos(pi/2) = 0, so f = 1 + 0.5 (G/F - 1): short 1 + 0.5 * 3 = 2.5, think 1 + 0.5 / 3 = 7/6.
    # r' = 2.5, 7/12, 7/12, and -1 as it is; mean 8/12 = 2/3.
    actual = objective_of(module).advantages(groups, config=config, settings=settings_at(config, step=5))
    expected = torch.tensor([[11 / 6, -1 / 12, -1 / 12, -5 / 3]], dtype=torch.float64)
    torch.testing.assert_close(actual.response_PG, expected)
    torch.testing.assert_close(actual.control_PG, expected)
    # At the last step f = 1: plain rewards over their mean, 0.25.
    actual = objective_of(module).advantages(groups, config=config, settings=settings_at(config, step=10))
    torch.testing.assert_close(actual.response_PG, torch.tensor([[0.75, 0.25, 0.25, -1.25]], dtype=torch.float64))


def adaptthink_hand_cases_hold(module: ModuleType) -> None:
    """delta 0.05, the warm-up model's thinking right three times in four."""
    objective = objective_of(module)
    config = rl_config(group_size=4, adaptthink_delta=0.05)
    settings = settings_at(config, step=1)
    assigned = objective.assign_modes(4)
    assert [choice.mode for choice in assigned] == [Mode.SHORT, Mode.SHORT, Mode.THINK, Mode.THINK]
    assert {choice.probability for choice in assigned} == {0.5}
    verdicts = [Verdict(choice.mode, right, False) for choice, right in zip(assigned, (1, 0, 1, 0), strict=True)]
    rewards = [[objective.reward(verdict, config=config, settings=settings) for verdict in verdicts]]
    actual = objective.advantages(
        groups_of(rewards, [["short", "short", "think", "think"]], reference=[0.75]), config=config, settings=settings
    )
    # 1.05 - 0.75, 0.05 - 0.75, 1 - 0.75, 0 - 0.75: they need not cancel
    torch.testing.assert_close(actual.response_PG, torch.tensor([[0.3, -0.7, 0.25, -0.75]], dtype=torch.float64))
    assert torch.equal(actual.control_PG, actual.response_PG)
