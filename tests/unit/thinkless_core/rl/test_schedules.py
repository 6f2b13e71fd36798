"""Settings that move over a run: their values by hand, their ranges before the run, and how they are written."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from schemas.configs.loading import load_config
from schemas.configs.schedule import (
    ConstantSchedule,
    CosineSchedule,
    InRange,
    LinearSchedule,
    PiecewiseSchedule,
    at,
    check_range,
    is_scheduled,
    values,
)
from schemas.errors import ConfigError
from tests.specimens import objective_table, rl_config
from thinkless_core.rl.schedules import schedule_numbers, settings_at


def test_a_plain_number_is_the_same_at_every_step() -> None:
    assert values(0.5, num_steps=3) == (0.5, 0.5, 0.5)
    assert values(ConstantSchedule(value=0.5), num_steps=2) == (0.5, 0.5)


def test_a_line_begins_at_its_start_and_ends_at_its_end() -> None:
    # Four equal strides of -0.2 between step 1 and step 5.
    assert values(LinearSchedule(start=1.0, end=0.2), num_steps=5) == pytest.approx((1.0, 0.8, 0.6, 0.4, 0.2))


def test_a_line_between_two_steps_is_constant_before_and_after() -> None:
    schedule = LinearSchedule(start=0.0, end=1.0, first_step=2, last_step=4)
    assert values(schedule, num_steps=6) == (0.0, 0.0, 0.5, 1.0, 1.0, 1.0)


def test_a_cosine_is_slow_at_both_ends_and_passes_the_middle_half_way() -> None:
    schedule = CosineSchedule(start=2.0, end=1.0)
    # Quarter of the way: 2 - (1 - cos(45 degrees)) / 2 = 2 - (1 - 0.70711) / 2 = 1.85355
    expected = (2.0, 2.0 - (1 - math.sqrt(0.5)) / 2, 1.5, 1.0 + (1 - math.sqrt(0.5)) / 2, 1.0)
    assert values(schedule, num_steps=5) == pytest.approx(expected)


def test_points_are_joined_by_lines_and_neighbouring_steps_make_a_jump() -> None:
    schedule = PiecewiseSchedule(points=((2, 1.0), (4, 3.0), (5, 0.0), (7, 1.0)))
    assert values(schedule, num_steps=8) == (1.0, 1.0, 2.0, 3.0, 0.0, 0.5, 1.0, 1.0)


@pytest.mark.parametrize("kind", [LinearSchedule, CosineSchedule])
def test_a_run_of_one_step_has_the_start(kind: type[LinearSchedule] | type[CosineSchedule]) -> None:
    assert values(kind(start=1.0, end=0.1), num_steps=1) == (1.0,)


def test_a_schedule_with_steps_of_its_own_is_the_same_in_a_longer_run() -> None:
    schedule = LinearSchedule(start=1.0, end=0.1, last_step=10)
    assert values(schedule, num_steps=4) == values(schedule, num_steps=40)[:4]
    assert at(schedule, step=10, num_steps=40) == 0.1


def test_the_settings_of_a_step_are_plain_numbers_and_token_limits_are_whole() -> None:
    config = rl_config(
        steps=5,
        objective=objective_table("degrpo-paper", alpha=LinearSchedule(start=1.0, end=0.2)),
        max_new_tokens={"kind": "linear", "start": 10, "end": 20},
        short_max_tokens=6,
    )
    settings = settings_at(config, step=4)
    # 10 + 10 * 3/4 = 17.5, rounded to the even neighbour
    assert (settings.number, settings.num_steps, settings.max_new_tokens) == (4, 5, 18)
    assert settings.value(config.objective.alpha) == pytest.approx(0.4)
    assert isinstance(settings.max_new_tokens, int)
    assert (settings.gamma, settings.kl_coef, settings.temperature) == (0.5, 0.0, 1.0)


def test_only_settings_that_move_are_metrics() -> None:
    still = rl_config(objective=objective_table("degrpo-paper", alpha={"kind": "constant", "value": 1}))
    assert schedule_numbers(still, settings=settings_at(still, step=1)) == {}
    moving = rl_config(
        steps=2,
        gamma={"kind": "linear", "start": 0.2, "end": 0.5},
        max_new_tokens={"kind": "linear", "start": 16, "end": 19},
        objective=objective_table("degrpo-paper", alpha={"kind": "piecewise", "points": [[1, 1.0], [3, 2.0]]}),
    )
    numbers = schedule_numbers(moving, settings=settings_at(moving, step=2))
    assert numbers == {"schedule/alpha": 1.5, "schedule/gamma": 0.5, "schedule/max_new_tokens": 19.0}


def test_a_constant_table_is_the_plain_number_and_so_has_the_same_key() -> None:
    written_out = rl_config(objective=objective_table("hgpo", inter_weight={"kind": "constant", "value": 0.5}))
    assert written_out == rl_config(objective=objective_table("hgpo", inter_weight=0.5))
    assert not is_scheduled(written_out.objective.inter_weight)


def test_a_schedule_survives_being_stored_as_json() -> None:
    config = rl_config(
        objective=objective_table("degrpo-token", alpha={"kind": "piecewise", "points": [[1, 1.0], [4, 0.5]]}),
        gamma={"kind": "cosine", "start": 0.2, "end": 0.5, "last_step": 3},
    )
    assert type(config).model_validate_json(config.model_dump_json()) == config


def test_overrides_write_a_schedule_as_a_table_or_key_by_key() -> None:
    whole = load_config("tiny", overrides=['rl.objective.alpha={kind="linear", start=1.0, end=0.1}'])
    by_key = load_config(
        "tiny", overrides=["rl.objective.alpha.end=0.1", "rl.objective.alpha.start=1", "rl.objective.alpha.kind=linear"]
    )
    assert whole.rl.objective.alpha == by_key.rl.objective.alpha == LinearSchedule(start=1.0, end=0.1)
    assert load_config("tiny", overrides=["rl.objective.alpha=0.5"]).rl.objective.alpha == 0.5


OUTSIDE = {
    "a line that ends at zero": (
        'rl.objective.alpha={kind="linear", start=1.0, end=0.0}',
        [
            "rl.objective.alpha: schedule is 0 at step 80 of 80",
            "greater than 0 and less than or equal to 10",
            "its end=0",
        ],
    ),
    "a line that begins too high": (
        'rl.objective.alpha={kind="linear", start=12, end=1.0}',
        ["rl.objective.alpha: schedule is 12 at step 1 of 80", "change its start=12"],
    ),
    "a cosine that reaches one before the end": (
        'rl.gamma={kind="cosine", start=0.1, end=1.0, last_step=70}',
        ["rl.gamma: schedule is 1 at step 70 of 80", "less than 1", "its end=1"],
    ),
    "a point in the middle": (
        'rl.kl_coef={kind="piecewise", points=[[1, 0.1], [40, -0.1], [80, 0.1]]}',
        # 0.1 - 0.2 * 20/39 = -0.00256 at step 21, where step 20 is still above 0
        ["rl.kl_coef: schedule is -0.0025641 at step 21 of 80", "greater than or equal to 0", "point [40, -0.1]"],
    ),
    "a token limit under two": (
        'rl.max_new_tokens={kind="linear", start=1, end=96}',
        ["rl.max_new_tokens: schedule is 1 at step 1 of 80", "greater than or equal to 2", "its start=1"],
    ),
    "half a token": ("rl.max_new_tokens=96.5", ["rl.max_new_tokens", "whole number", "got 96.5"]),
    "an unknown kind": (
        'rl.objective.alpha={kind="liner", start=1.0, end=0.1}',
        ["rl.objective.alpha: unknown schedule 'liner'; did you mean 'linear'?", "constant, linear, cosine, piecewise"],
    ),
    "no kind": (
        "rl.objective.alpha={start=1.0, end=0.1}",
        ["rl.objective.alpha: a schedule needs a kind", "or a plain number"],
    ),
    "no end": ('rl.objective.alpha={kind="linear", start=1.0}', ["rl.objective.alpha.end: missing"]),
    "a misspelt key": (
        'rl.objective.alpha={kind="linear", start=1.0, end=0.1, last_stp=3}',
        ["unknown key 'rl.objective.alpha.last_stp'", "did you mean 'rl.objective.alpha.last_step'?"],
    ),
    "a key of another kind": (
        'rl.objective.alpha={kind="cosine", start=1.0, end=0.1, points=[]}',
        ["'rl.objective.alpha.points' does not belong to kind 'cosine'"],
    ),
    "a line backwards": (
        'rl.objective.alpha={kind="linear", start=1.0, end=0.1, first_step=5, last_step=5}',
        ["rl.objective.alpha: last_step=5 is not after first_step=5", "piecewise"],
    ),
    "points out of order": (
        'rl.objective.alpha={kind="piecewise", points=[[5, 1.0], [5, 2.0]]}',
        ["rl.objective.alpha: points", "got step 5 after step 5", "[[10, 1.0], [11, 0.1]]"],
    ),
    "a step before the first": (
        'rl.objective.alpha={kind="piecewise", points=[[0, 1.0], [5, 2.0]]}',
        ["rl.objective.alpha.points.0.0", "got 0"],
    ),
    "an infinite end": ('rl.kl_coef={kind="linear", start=0.0, end=inf}', ["rl.kl_coef.end", "finite", "got inf"]),
    "text": ("rl.objective.alpha=much", ["rl.objective.alpha: Input should be a valid number", "'much'"]),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_schedule_that_cannot_be_is_refused_before_the_run(name: str) -> None:
    override, said = OUTSIDE[name]
    with pytest.raises(ConfigError) as caught:
        load_config("tiny", overrides=["rl.steps=80", override])
    missing = [text for text in said if text not in str(caught.value)]
    assert not missing, f"{missing} not in: {caught.value}"


def test_a_part_of_a_schedule_that_the_run_never_reaches_is_no_fault() -> None:
    schedule = LinearSchedule(start=1.0, end=0.0, last_step=10)
    check_range(schedule, num_steps=9, valid=InRange(gt=0))
    with pytest.raises(ValueError, match="0 at step 10 of 10"):
        check_range(schedule, num_steps=10, valid=InRange(gt=0))


def test_a_key_below_one_without_effect_has_none_either() -> None:
    with pytest.raises(ConfigError, match=r"rl\.gamma\.kind would have no effect: reward 'correct'"):
        load_config(
            "tiny", overrides=["rl.objective=hgpo", "rl.gamma.kind=linear", "rl.gamma.start=0.1", "rl.gamma.end=0.2"]
        )


def test_a_schedule_never_changes() -> None:
    schedule = LinearSchedule(start=1.0, end=0.1)
    with pytest.raises(ValidationError):
        schedule.end = 0.5  # type: ignore[misc]
