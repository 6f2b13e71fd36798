"""Rewards: case by case (tests/cases/rewards.jsonl), as a whole table, and against the oracle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.mode import Mode
from tests.invariants import rollout_checks
from tests.specimens import make_judged, rl_config
from thinkless_core.grading import fake_short
from thinkless_core.grading.fake_short import is_fake_short
from thinkless_core.rl import rewards
from thinkless_core.rl.rewards import Reward, Thinkless
from thinkless_core.rl.schedules import settings_at

CASES = Path(__file__).parents[3] / "cases" / "rewards.jsonl"


ROWS = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("case", ROWS, ids=[row["why"] for row in ROWS])
def test_a_rollout_earns_what_the_case_says(case: dict[str, Any]) -> None:
    mode = None if case["mode"] is None else Mode(case["mode"])
    ids = [20] * case["ids"]
    if case["think_end_inside"]:
        ids[1] = 7
    fake = is_fake_short(mode, completion_ids=ids, think_end_id=7, short_max_tokens=6)
    assert fake is case["fake_short"]
    step = settings_at(rl_config(gamma=case["gamma"]), step=1)
    rollout = make_judged(mode, correct=case["correct"], fake_short=fake, num_tokens=len(ids))
    assert list(Thinkless().rewards([rollout], step=step)) == [case["reward"]]


def test_thinkless_pays_fake_short_like_think_and_malformed_minus_one() -> None:
    rollout_checks.rewards_are_the_papers(rewards)
    rollout_checks.fake_short_is_found(fake_short)


def test_every_shipped_reward_equals_the_oracle_and_stays_within_its_limits() -> None:
    rollout_checks.rewards_equal_the_oracle(rewards)


def test_a_reward_that_says_nothing_pays_being_right_and_knows_no_limits() -> None:
    group = [make_judged(Mode.THINK), make_judged(Mode.SHORT, correct=False)]
    assert list(Reward().rewards(group, step=settings_at(rl_config(), step=1))) == [1.0, 0.0]
    assert Reward().limits() is None
