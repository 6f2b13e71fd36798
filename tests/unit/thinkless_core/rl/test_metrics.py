"""The numbers of a step: forced rollouts apart from free ones, modes without rollouts, and the probe by difficulty."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from tests.specimens import RIGHT, WRONG, make_problem, make_rollout
from thinkless_core.rl.metrics import METRICS, free_counts, probe_numbers, rollout_numbers
from thinkless_core.rl.rollouts import ScoredRollout


def scored(
    mode: Mode | None,
    *,
    tokens: int = 4,
    correct: bool = True,
    forced: bool = False,
    reward: float = 1.0,
    finish_reason: FinishReason = FinishReason.STOP,
) -> ScoredRollout:
    rollout = make_rollout([5] * tokens, mode=mode, finish_reason=finish_reason)
    return ScoredRollout(replace(rollout, forced=forced), RIGHT if correct else WRONG, fake_short=False, reward=reward)


def test_forced_rollouts_count_everywhere_but_in_the_free_counts() -> None:
    step = [
        scored(Mode.THINK, tokens=9, forced=True),
        scored(Mode.THINK, tokens=7, forced=True, correct=False),
        scored(Mode.THINK, tokens=8),
        scored(Mode.SHORT, tokens=2),
        scored(Mode.SHORT, tokens=2, correct=False),
        scored(None, tokens=3, correct=False),
    ]
    numbers = rollout_numbers(step, group_size=6)
    assert (numbers["think_count"], numbers["short_count"]) == (3, 2)
    assert (numbers["free_think_count"], numbers["free_short_count"]) == (1, 2)
    assert free_counts(numbers) == {Mode.THINK: 1, Mode.SHORT: 2}
    assert numbers["think_share"] == 3 / 6
    assert numbers["think_accuracy"] == pytest.approx(2 / 3)
    assert (numbers["think_tokens"], numbers["short_tokens"]) == (8, 2)
    assert numbers["malformed_share"] == pytest.approx(1 / 6)


def test_a_mode_nobody_is_in_has_counts_of_zero_and_no_means() -> None:
    numbers = rollout_numbers([scored(Mode.SHORT), scored(Mode.SHORT)], group_size=2)
    assert (numbers["think_count"], numbers["free_think_count"]) == (0, 0)
    assert "think_accuracy" not in numbers
    assert "think_tokens" not in numbers
    assert free_counts(numbers) == {Mode.THINK: 0, Mode.SHORT: 2}


def test_groups_without_a_difference_in_reward_and_cut_off_rollouts_are_counted() -> None:
    step = [
        *(scored(Mode.THINK, reward=0.5) for _ in range(2)),
        scored(Mode.THINK, reward=0.5),
        scored(Mode.THINK, reward=-1.0, correct=False, finish_reason=FinishReason.LENGTH),
    ]
    numbers = rollout_numbers(step, group_size=2)
    assert numbers["zero_variance_share"] == 0.5
    assert numbers["truncated_share"] == 0.25


def test_the_probe_is_read_over_all_problems_and_by_difficulty() -> None:
    probe = [make_problem(text) for text in ("11+22=?", "12+22=?", "11+22*33=?")]
    # One, one and two operations.
    assert probe_numbers(probe, [0.1, 0.3, 0.8]) == pytest.approx(
        {"probe_p_think": 0.4, "probe_p_think/difficulty_1": 0.2, "probe_p_think/difficulty_2": 0.8}
    )


def test_a_problem_of_unknown_difficulty_counts_in_the_whole_alone() -> None:
    unknown = make_problem("11+22=?").model_copy(update={"difficulty": None})
    assert probe_numbers([unknown, make_problem("12+22=?")], [0.1, 0.3]) == pytest.approx(
        {"probe_p_think": 0.2, "probe_p_think/difficulty_1": 0.3}
    )


def test_every_metric_has_a_name_of_its_own_and_says_what_it_is() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert all(metric.about for metric in METRICS)


def test_only_groups_whose_rewards_are_all_equal_teach_nothing() -> None:
    # The first and the third of four groups.
    step = [scored(Mode.SHORT, reward=reward) for reward in (1.0, 1.0, 1.0, 0.5, -1.0, -1.0, -1.0, 1.0)]
    assert rollout_numbers(step, group_size=2)["zero_variance_share"] == 0.5
