"""What of a step's numbers is shown where: the headline, lines in the log, notes, and TensorBoard event files."""

from __future__ import annotations

import importlib.util
import io
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from schemas.errors import ConfigError
from tasks.headline import Headline
from tasks.running import progress_display as module
from tasks.running.event_files import EventFile, require_tensorboard
from tasks.running.progress_display import stage_progress

RL_STEP = {
    "reward_mean": 0.3125,
    "accuracy": 0.71,
    "think_share": 0.4375,
    "mean_tokens": 34.56,
    "generated_tokens": 1_234_567.0,
    "loss": 1e-9,
    "kl": 0.002,
}


def test_the_line_of_rl_shows_reward_accuracy_choice_and_cost_and_leaves_the_rest_to_the_tables() -> None:
    line = Headline("rl").update(RL_STEP | {"probe_p_think": 0.5})
    assert line == "reward 0.3125  accuracy 71.0%  think 43.8%  P(think) 50.0%  tokens 34.56  generated 1.23M"


def test_a_number_that_is_not_read_at_every_step_keeps_its_last_value() -> None:
    headline = Headline("rl")
    headline.update({"probe_p_think": 0.5})
    assert headline.update({"reward_mean": 0.1}) == "reward 0.1  P(think) 50.0%"
    assert headline.update({"probe_p_think": 0.25}) == "reward 0.1  P(think) 25.0%"


def test_the_guard_is_on_the_line_only_while_a_mode_is_lost() -> None:
    headline = Headline("rl")
    assert "guard" not in headline.update({"reward_mean": 0.1, "guard_alarm": 0.0, "guard_forced_per_group": 0.0})
    assert headline.update({"guard_alarm": 1.0}) == "reward 0.1  guard: a mode is lost"
    assert headline.update({"guard_forced_per_group": 2.0}) == "reward 0.1  guard forces 2 per group"
    assert headline.update({"guard_alarm": 0.0, "guard_forced_per_group": 0.0}) == "reward 0.1"


def test_a_stage_without_a_headline_shows_all_it_gives() -> None:
    assert Headline("pairs").update({"pairs": 1900.0, "dropped": 3.0}) == "pairs 1900  dropped 3"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The log of a stage that runs without a terminal."""
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    own = logging.getLogger("thinkless")
    before = own.handlers, own.propagate
    own.handlers, own.propagate = [], True
    caplog.set_level(logging.INFO, logger="thinkless")
    yield caplog
    own.handlers, own.propagate = before


def test_without_a_terminal_the_first_and_the_last_step_are_said_and_notes_always(
    log: pytest.LogCaptureFixture,
) -> None:
    with stage_progress("rl") as progress:
        progress(0, 3, {})
        progress(1, 3, RL_STEP)
        progress(2, 3, RL_STEP, ["think fell to 1.0%"])
        progress(3, 3, RL_STEP | {"reward_mean": 0.5})
    messages = [record.getMessage() for record in log.records]
    assert [m.split("  ")[0] for m in messages] == ["rl", "rl", "rl: think fell to 1.0%", "rl"]
    assert re.fullmatch(
        r"rl +1/3  \d s  about 0 s left  reward 0\.3125  accuracy 71\.0%  .*  generated 1\.23M", messages[1]
    )
    assert "reward 0.5 " in messages[3]
    assert [record.levelname for record in log.records] == ["INFO", "INFO", "WARNING", "INFO"]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_bar_keeps_to_one_line_with_as_many_numbers_as_fit(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=width, color_system=None)
    monkeypatch.setattr(module, "Console", lambda **_: console)
    with stage_progress("rl") as progress:
        progress(1, 80, RL_STEP)
        progress(80, 80, RL_STEP | {"probe_p_think": 0.5})
    lines = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line) for line in written.getvalue().splitlines()]
    (shown,) = [line for line in lines if "80/80" in line]
    assert len(shown) <= width
    assert ("generated 1.23M" in shown) == (width == 200)
    assert sum("rew" in line for line in lines) == 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets time pass."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def wait(seconds: float) -> None:
        now[0] += seconds

    return wait


def test_the_first_step_already_tells_how_long_the_stage_still_takes(
    log: pytest.LogCaptureFixture, clock: Callable[[float], None]
) -> None:
    with stage_progress("sft") as progress:
        progress(0, 100, {"tokenised": 0.0})
        clock(10)
        progress(0, 100, {"tokenised": 0.5})
        clock(10)
        progress(0, 100, {"tokenised": 0.75})
        clock(6)
        progress(1, 100, {"loss": 2.5})
        clock(18)
        progress(2, 100, {"loss": 2.25})
        clock(1)
        progress(100, 100, {"loss": 1.0})
    assert [record.getMessage() for record in log.records] == [
        "sft          0/100  0 s  tokenised 0.0%",
        "sft          0/100  20 s  tokenised 75.0%",
        "sft          1/100  26 s  about 10 min left  loss 2.5",
        "sft          2/100  44 s  about 20 min left  loss 2.25",
        "sft          100/100  45 s  loss 1",
    ]


def test_what_was_done_before_a_stage_was_resumed_and_other_pieces_do_not_count(clock: Callable[[float], None]) -> None:
    remaining = module._Remaining()
    assert remaining(6, 8) == ""
    clock(500)
    assert [remaining(done, 8) for done in (7, 8)] == ["about 8 min left", ""]
    clock(30)
    assert [remaining(done, 100) for done in (0, 90)] == ["", ""]
    clock(30)
    assert remaining(91, 100) == "about 4 min left"
    clock(30)
    assert remaining(92, 100) == "about 4 min left"
    assert remaining(0, 100) == ""
    clock(2000)
    assert remaining(1, 5) == ""
    clock(2000)
    assert remaining(2, 5) == "about 100 min left"


def test_chunks_tell_the_time_from_the_second_on(clock: Callable[[float], None]) -> None:
    remaining = module._Remaining()
    said = []
    for done in (0, 1000, 2000, 6936):
        said.append(remaining(done, 6936))
        clock(3)
    assert said == ["", "", "about 15 s left", ""]


def test_a_run_without_prefect_does_not_load_it_to_show_progress() -> None:
    script = """
import sys
from tasks.running.progress_display import stage_progress
with stage_progress("rl") as progress:
    progress(1, 1, {"reward_mean": 0.5})
print("prefect" in sys.modules, "torch" in sys.modules)
"""
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert finished.stdout.split() == ["False", "False"]


def test_event_files_without_their_package_are_refused_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.running.event_files.installed_version", lambda package: None)
    with pytest.raises(ConfigError, match=r"THINKLESS_TENSORBOARD=.*events .*pip install tensorboard`\), or unset"):
        require_tensorboard(tmp_path / "events")
    with pytest.raises(ConfigError, match="pip install"):
        EventFile(tmp_path / "events" / "rl-1")
    assert list(tmp_path.iterdir()) == []


def events_in(directory: Path) -> dict[str, list[tuple[int, float]]]:
    """Scalars as TensorBoard itself reads them."""
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    accumulator = reader.EventAccumulator(str(directory)).Reload()
    return {tag: [(e.step, e.value) for e in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]}


needs_tensorboard = pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="needs the package tensorboard, extra `tensorboard`"
)


@needs_tensorboard
def test_every_number_of_every_step_is_in_the_event_files(tmp_path: Path) -> None:
    with stage_progress("rl", writers=[EventFile(tmp_path / "rl-1")]) as progress:
        for step in (1, 2, 3):
            progress(step, 3, {"kl": step / 8, "probe_p_think/difficulty_1": 0.5})
    assert events_in(tmp_path / "rl-1") == {
        "kl": [(1, 0.125), (2, 0.25), (3, 0.375)],
        "probe_p_think/difficulty_1": [(1, 0.5), (2, 0.5), (3, 0.5)],
    }


@needs_tensorboard
def test_steps_written_again_after_a_crash_stand_once_in_the_event_files(tmp_path: Path) -> None:
    killed = EventFile(tmp_path / "rl-1")
    for step in (1, 2, 3):
        killed(step, {"kl": 0.5})
    killed.close()
    resumed = EventFile(tmp_path / "rl-1")
    for step in (2, 3, 4):
        resumed(step, {"kl": 0.25})
    resumed.close()
    assert events_in(tmp_path / "rl-1") == {"kl": [(1, 0.5), (2, 0.25), (3, 0.25), (4, 0.25)]}


@needs_tensorboard
def test_event_files_that_cannot_be_written_do_not_end_the_run(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    (tmp_path / "rl-1").write_text("a file where the directory should be")
    with stage_progress("rl", writers=[EventFile(tmp_path / "rl-1")]) as progress:
        progress(1, 2, RL_STEP)
        progress(2, 2, RL_STEP)
    warnings = [record.getMessage() for record in log.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "cannot be written" in warnings[0]


def test_a_stage_without_numbers_has_no_event_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.running.event_files.require_tensorboard", lambda _: None)
    with stage_progress("teach", writers=[EventFile(tmp_path / "teach-1")]) as progress:
        progress(1, 1, {})
    assert list(tmp_path.iterdir()) == []
