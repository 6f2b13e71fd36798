"""Experiment trackers: one run per training, faults that cost a line, and what the real packages store."""

from __future__ import annotations

import json
import logging
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.installed import installed_version
from infra.settings import Settings
from schemas.configs.loading import load_config
from schemas.errors import ConfigError
from tasks.prepare_base import PrepareBase
from tasks.running import build as build_module
from tasks.running import trackers as module
from tasks.running.context import RunContext
from tasks.running.progress_display import stage_progress
from tasks.running.stage import make_plan
from tasks.running.trackers import TrackedRun, require_trackers
from tasks.train_rl import TrainRl

RUNS: dict[str, FakeTracker] = {}
"""Name -> run of the fake tracker."""


class FakeTracker:
    """A tracker in memory. It takes no number called `bad`, and opens no run called `offline`."""

    def __init__(self, run: str, config: Mapping[str, object]) -> None:
        if run == "offline":
            raise ConnectionError("no route\nto the tracker")
        self.config, self.steps, self.finished = config, list[tuple[int, Mapping[str, float]]](), 0
        RUNS[run] = self

    def log(self, numbers: Mapping[str, float], *, step: int) -> None:
        if "bad" in numbers:
            raise RuntimeError
        self.steps.append((step, numbers))

    def finish(self) -> None:
        self.finished += 1


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tracker `fake`, which counts as installed."""
    monkeypatch.setitem(module.TRACKERS, "fake", FakeTracker)
    monkeypatch.setattr(module, "installed_version", lambda name: "1.0" if name == "fake" else installed_version(name))
    RUNS.clear()
    yield
    RUNS.clear()


def test_a_tracker_gets_settings_and_numbers_and_is_closed_once(fake: None) -> None:
    with stage_progress("rl", writers=[TrackedRun("fake", "tiny-rl-1", {"steps": 2})]) as progress:
        assert RUNS == {}
        progress(0, 2, {})
        assert RUNS == {}, "a run was opened before there was a number"
        progress(1, 2, {"kl": 0.5})
        progress(2, 2, {"kl": 0.25})
    run = RUNS["tiny-rl-1"]
    assert run.config == {"steps": 2}
    assert run.steps == [(1, {"kl": 0.5}), (2, {"kl": 0.25})]
    assert run.finished == 1


@pytest.mark.parametrize(
    ("run", "first", "reason"), [("offline", "kl", "no route to the tracker"), ("tiny-rl-1", "bad", "RuntimeError")]
)
def test_a_tracker_that_fails_costs_one_warning_and_not_the_stage(
    run: str, first: str, reason: str, fake: None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), stage_progress("rl", writers=[TrackedRun("fake", run, {})]) as progress:
        progress(1, 3, {first: 0.5})
        progress(2, 3, {"kl": 0.5})
        progress(3, 3, {"kl": 0.5})
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [f"run {run} of fake cannot be written ({reason}); the stage goes on without"]


def test_a_stage_that_fails_closes_its_run(fake: None) -> None:
    def interrupted() -> None:
        with stage_progress("rl", writers=[TrackedRun("fake", "tiny-rl-1", {})]) as progress:
            progress(1, 3, {"kl": 0.5})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert RUNS["tiny-rl-1"].finished == 1


def test_trackers_get_trainings_and_are_no_part_of_a_key(fake: None, tmp_path: Path) -> None:
    config = load_config("tiny")
    plain, tracked = (RunContext("1", "tiny", Settings(home=tmp_path, trackers=names)) for names in ((), ("fake",)))
    rl = make_plan(TrainRl(), config.rl, inputs=())
    base = make_plan(PrepareBase(), config.base, inputs=())
    assert build_module._step_writers(plain, rl) == build_module._step_writers(tracked, base) == []
    for writer in build_module._step_writers(tracked, rl):
        writer(1, {"kl": 0.5})
    assert RUNS[f"tiny-rl-{rl.key[:8]}"].config == rl.slice
    assert not [name for name in rl.sources if "tracker" in name or "step_writer" in name]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["wandb", "trackoi"], r"THINKLESS_TRACKERS=wandb,trackoi: unknown tracker 'trackoi'; did you mean 'trackio'"),
        (["tensorboard"], "set THINKLESS_TENSORBOARD=DIRECTORY"),
        (["wandb"], r"=wandb asks for .*`wandb` is not installed; run `pip install \"thinkless-flows\[wandb\]\"`"),
    ],
)
def test_a_tracker_that_is_unknown_or_not_installed_is_refused_with_the_way_out(
    names: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = {"wandb": "1.0"} if len(names) > 1 else {}
    monkeypatch.setattr(module, "installed_version", installed.get)
    with pytest.raises(ConfigError, match=message):
        require_trackers(names)


def needs(tracker: str) -> pytest.MarkDecorator:
    """Skips a test if a tracker is not installed."""
    reason = f"needs the package {tracker}, extra `{tracker}`"
    return pytest.mark.skipif(installed_version(tracker) is None, reason=reason)


def in_a_process(script: str, **variables: str) -> str:
    """Standard output of a script in a process of its own: a package reads its variables when it is imported."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(path for path in sys.path if path), **variables}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


TWO_RUNS = """
from tasks.running.progress_display import stage_progress
from tasks.running.trackers import TrackedRun

def run(steps):
    with stage_progress("rl", writers=[TrackedRun(TRACKER, "tiny-rl-1", {"seed": 0, "lora": None})]) as progress:
        for step in steps:
            progress(step, 4, {"kl": step / 8, "probe_p_think/difficulty_1": 0.5})

run([3, 1, 2])  # steps of what is measured before the first one
run([3, 4])
"""
STEPS = [(3, 0.375), (1, 0.125), (2, 0.25), (3, 0.375), (4, 0.5)]


@pytest.mark.slow
@needs("trackio")
def test_trackio_stores_every_number_in_one_run_and_prints_nothing(tmp_path: Path) -> None:
    script = TWO_RUNS.replace("TRACKER", "'trackio'")
    printed = in_a_process(script, HOME=str(tmp_path), TRACKIO_DIR=str(tmp_path / "trackio"))
    assert printed == "", "standard output is for results"
    database = sqlite3.connect(tmp_path / "trackio" / f"{module.PROJECT}.db")
    rows = database.execute("select run_name, step, metrics from metrics order by id").fetchall()
    assert {name for name, _, _ in rows} == {"tiny-rl-1"}
    assert [(step, json.loads(numbers)["kl"]) for _, step, numbers in rows] == STEPS
    ((config,),) = database.execute("select config from configs").fetchall()
    assert json.loads(config).items() >= {"seed": 0, "lora": None}.items()


def wandb_records(file: Path) -> Iterator[Any]:
    """The records of an offline run: after 7 bytes, each has a checksum, a length, a type (1: whole) and a message."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at = file.read_bytes(), 7
    while at < len(content):
        _, length, kind = struct.unpack("<IHB", content[at : at + 7])
        assert kind == 1
        record = Record()
        record.ParseFromString(content[at + 7 : at + 7 + length])
        yield record
        at += 7 + length


@pytest.mark.slow
@needs("wandb")
def test_wandb_stores_every_number_and_drops_no_step_that_falls(tmp_path: Path) -> None:
    script = TWO_RUNS.replace("TRACKER", "'wandb'")
    printed = in_a_process(script, HOME=str(tmp_path), WANDB_MODE="offline", WANDB_DIR=str(tmp_path))
    assert printed == "", "standard output is for results"
    steps, ids = [], set()
    for file in sorted(tmp_path.glob("wandb/offline-run-*/*.wandb"), key=lambda file: file.stat().st_mtime):
        for record in wandb_records(file):
            ids |= {record.run.run_id} - {""}
            items = {"/".join(i.nested_key): json.loads(i.value_json) for i in record.history.item}
            steps += [(items["step"], items["kl"])] if items else []
    assert ids == {"tiny-rl-1"}
    assert steps == STEPS
