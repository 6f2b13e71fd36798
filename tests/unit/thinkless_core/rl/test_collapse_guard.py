"""The collapse guard: when a mode counts as lost, what each policy decides, and that a crash changes nothing."""

from __future__ import annotations

import pickle

import pytest

from schemas.configs.guard import GuardConfig
from schemas.configs.loading import load_config
from schemas.errors import CollapseError, ConfigError, Terminal
from schemas.mode import Mode
from schemas.records.guard_events import GuardEvent
from schemas.records.metrics import Metric
from thinkless_core.rl.collapse_guard import CollapseGuard, replay, stop_if_asked

GROUP = 8


def guard_of(**changes: object) -> CollapseGuard:
    """A guard with a window of two steps."""
    return CollapseGuard(GuardConfig.model_validate({"window": 2} | changes), group_size=GROUP)


def counts(think: int, short: int) -> dict[Mode, int]:
    return {Mode.THINK: think, Mode.SHORT: short}


def decisions(guard: CollapseGuard, think_counts: list[int], *, of: int = 100) -> list[GuardEvent]:
    """What the guard decides about steps 1, 2, ... with so many free think rollouts of `of`."""
    events = [
        guard.observe(step=step, free_counts=counts(think, of - think)) for step, think in enumerate(think_counts, 1)
    ]
    return [event for event in events if event is not None]


def told(events: list[GuardEvent]) -> list[tuple[int, str]]:
    return [(event.step, event.action) for event in events]


def test_a_mode_is_lost_where_its_share_of_a_whole_window_is_under_the_limit() -> None:
    # Windows: (40+4)/200 = 22%, (4+6)/200 = 5% which is not under 5%, (6+3)/200 = 4.5%.
    (event,) = decisions(guard_of(), [40, 4, 6, 3])
    assert (event.step, event.action, event.rare_mode, event.share) == (4, "warn", Mode.THINK, 0.045)
    assert event.reason.startswith("think fell to 4.5% of the free rollouts over the 2 steps up to step 4, under ")
    assert "rl.guard.min_share=0.05" in event.reason


def test_nothing_is_decided_before_a_window_is_full() -> None:
    assert decisions(guard_of(window=3), [0, 0]) == []
    assert told(decisions(guard_of(window=3), [0, 0, 0])) == [(3, "warn")]


def test_either_mode_can_be_the_lost_one() -> None:
    (event,) = decisions(guard_of(), [99, 99])
    assert (event.rare_mode, event.share) == (Mode.SHORT, 0.01)


def test_a_window_weighs_rollouts_alike_and_not_steps() -> None:
    guard = guard_of(min_share=0.1, recovered_share=0.2)
    assert guard.observe(step=1, free_counts=counts(0, 2)) is None
    # 8 of 42 = 19%; the mean of the two steps' shares would be 10%.
    assert guard.observe(step=2, free_counts=counts(8, 32)) is None


def test_between_the_two_limits_a_lost_mode_stays_lost_and_a_kept_one_kept() -> None:
    between = [7] * 6
    assert decisions(guard_of(), between) == []
    assert told(decisions(guard_of(), [1, 1, *between, 10, 10])) == [(2, "warn"), (10, "release")]


def test_each_loss_is_told_once_and_again_after_a_recovery() -> None:
    events = decisions(guard_of(), [1] * 6 + [30] * 3 + [1] * 4)
    # (1 + 30) / 200 = 15.5% over steps 6 and 7, and again over 9 and 10; 1% over 10 and 11.
    assert told(events) == [(2, "warn"), (7, "release"), (11, "warn")]
    assert all(event.forced_per_group == 0 for event in events)


def test_the_window_begins_anew_with_each_decision() -> None:
    """A recovery is judged by what was sampled since the loss, and a new loss by what was sampled since."""
    assert told(decisions(guard_of(), [0, 0, 50])) == [(2, "warn")]
    assert told(decisions(guard_of(), [0, 0, 50, 50, 0])) == [(2, "warn"), (4, "release")]


def test_force_split_forces_from_the_next_step_until_the_mode_recovers() -> None:
    guard = guard_of(policy="force_split", forced_per_group=3)
    forced, numbers, events = [], [], []
    for step, think in enumerate([50, 2, 2, 2, 4, 15, 15, 50], start=1):
        forced.append(guard.forced)
        numbers.append(guard.numbers())
        if event := guard.observe(step=step, free_counts=counts(think, 100 - think)):
            events.append(event)
    # Window (2+2)/200 = 2% at step 3; (2+4)/200 = 3% at step 5, (4+15)/200 = 9.5% at 6, (15+15)/200 = 15% at 7.
    assert forced == [None] * 3 + [(Mode.THINK, 3)] * 4 + [None]
    assert told(events) == [(3, "force"), (7, "release")]
    assert [event.forced_per_group for event in events] == [3, 0]
    assert "3 of 8 rollouts of each group are forced into it until it has 10.0%" in events[0].reason
    assert "back at 15.0%" in events[1].reason
    assert "lost at step 3" in events[1].reason
    assert [n["guard_forced_per_group"] for n in numbers] == [0, 0, 0, 3, 3, 3, 3, 0]
    assert [n["guard_alarm"] for n in numbers] == [0, 0, 0, 1, 1, 1, 1, 0]


def test_forcing_that_the_rewards_do_not_answer_is_given_up_and_not_begun_again() -> None:
    guard = guard_of(policy="force_split", max_forced_steps=4)
    events = decisions(guard, [1] * 20)
    # Forced in steps 3, 4, 5 and 6.
    assert told(events) == [(2, "force"), (6, "release")]
    assert "still at 1.0% of the free rollouts after 4 forced steps" in events[1].reason
    assert guard.forced is None
    assert guard.numbers()["guard_alarm"] == 1.0, "the mode is lost all the same"


def test_a_mode_let_go_that_comes_back_by_itself_is_watched_again() -> None:
    guard = guard_of(policy="force_split", max_forced_steps=2)
    assert told(decisions(guard, [1] * 6 + [50] * 4 + [1] * 3)) == [(2, "force"), (4, "release"), (12, "force")]


def test_stop_says_so_once_and_the_error_names_step_share_and_way_out() -> None:
    (event,) = decisions(guard_of(policy="stop"), [50, 1, 1])
    assert event.action == "stop"
    with pytest.raises(
        CollapseError, match=r"^rl step 3: think fell to 1\.0% .*min_share=0\.05; the run stops\. "
    ) as caught:
        stop_if_asked(event)
    assert "force_split" in str(caught.value)
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), Terminal)
    stop_if_asked(None)
    stop_if_asked(event.model_copy(update={"action": "warn"}))


def test_a_guard_that_is_off_sees_nothing() -> None:
    assert decisions(guard_of(policy="off"), [0] * 9) == []


def test_a_step_without_a_free_choice_is_passed_over() -> None:
    guard = guard_of()
    assert decisions(guard, [0] * 9, of=0) == []
    assert guard.observe(step=10, free_counts=counts(1, 99)) is None, "the window is not full"
    assert guard.observe(step=11, free_counts={Mode.SHORT: 100}) is not None, "a mode that is not named has no rollout"


THINKING = [50, 2, 2, 2, 12, 15, 50, 3, 3, 2, 1, 1, 1, 1, 1, 60, 60, 99, 99, 99]
"""Lost, recovered, lost, let go, back, and the other mode lost."""


@pytest.mark.parametrize("crash", range(len(THINKING) + 1))
@pytest.mark.parametrize("policy", ["warn", "force_split"])
def test_a_guard_fed_from_the_log_after_a_crash_decides_as_if_there_had_been_none(policy: str, crash: int) -> None:
    limits = {"policy": policy, "max_forced_steps": 5}
    unbroken = guard_of(**limits)
    events = decisions(unbroken, THINKING)
    assert len(events) >= 5

    resumed = guard_of(**limits)
    # Written in the order of a log, where other numbers stand between and step 0 has only the probe.
    log = [Metric(stage="rl", step=0, name="probe_p_think", value=0.5)]
    for step, think in enumerate(THINKING[:crash], start=1):
        log += [
            Metric(stage="rl", step=step, name=name, value=value)
            for name, value in {
                "think_count": 999.0,
                "free_short_count": 100.0 - think,
                "free_think_count": float(think),
                "loss": 0.1,
            }.items()
        ]
    replay(resumed, log)
    later = [
        event
        for step, think in enumerate(THINKING[crash:], start=crash + 1)
        if (event := resumed.observe(step=step, free_counts=counts(think, 100 - think)))
    ]
    assert later == [event for event in events if event.step > crash]
    assert (resumed.forced, resumed.numbers()) == (unbroken.forced, unbroken.numbers())


def test_a_run_that_was_stopped_is_stopped_again_when_relaunched() -> None:
    log = [
        Metric(stage="rl", step=step, name=f"free_{mode}_count", value=value)
        for step in (1, 2)
        for mode, value in (("think", 0.0), ("short", 64.0))
    ]
    with pytest.raises(CollapseError, match=r"rl step 2: think fell to 0\.0%"):
        replay(guard_of(policy="stop"), log)


REFUSED = {
    "an unknown policy": (["rl.guard.policy=force"], ["rl.guard.policy", "'force_split'", "got 'force'"]),
    "recovery under the loss": (
        ["rl.guard.min_share=0.3"],
        ["recovered_share=0.1 is not over min_share=0.3", "raise it"],
    ),
    "half for each cannot be rare": (["rl.guard.min_share=0.5"], ["rl.guard.min_share", "less than 0.5"]),
    "no window": (["rl.guard.window=0"], ["rl.guard.window", "greater than or equal to 1"]),
    "everything forced": (
        ["rl.guard.policy=force_split", "rl.guard.forced_per_group=8"],
        ["forced_per_group=8", "group_size=8", "at most 7"],
    ),
    "less forcing than a window": (
        ["rl.guard.policy=force_split", "rl.guard.max_forced_steps=3"],
        ["max_forced_steps=3 is under window=5", "lower window"],
    ),
    "forcing where nothing is forced": (
        ["rl.guard.forced_per_group=3"],
        ["no effect", "policy 'warn' does not read it"],
    ),
    "watching where nothing is watched": (["rl.guard.policy=off", "rl.guard.window=3"], ["no effect", "policy 'off'"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_guard_that_cannot_work_is_refused_before_the_run(name: str) -> None:
    overrides, said = REFUSED[name]
    with pytest.raises(ConfigError) as caught:
        load_config("tiny", overrides=overrides)
    missing = [text for text in said if text not in str(caught.value)]
    assert not missing, f"{missing} not in: {caught.value}"


def test_the_default_warns_and_forces_nothing() -> None:
    guard = CollapseGuard(load_config("tiny").rl.guard, group_size=GROUP)
    assert told(decisions(guard, [0] * 30)) == [(5, "warn")]
    assert guard.forced is None
