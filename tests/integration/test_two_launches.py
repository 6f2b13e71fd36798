"""Two launches of the same run at once: one builds, the other waits, says for whom, and finds it done."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.catalog.query import run_query
from infra.runs import list_runs
from infra.store.artifact_store import ArtifactStore
from tests.integration.conftest import BuiltHome
from tests.integration.driver import command
from tests.integration.processes import Said, environment, freeze_when, started, wait_until
from tests.integration.test_kill_and_resume import newest_checkpoint


@dataclass(frozen=True)
class TwoLaunches:
    """What two launches of one run, at once, left behind."""

    home: Path
    key: str
    """Of the stage the second one met half done."""
    first: int
    second: int
    """Process ids."""
    second_said: str


@pytest.fixture(scope="module")
def launched_twice(built: BuiltHome, tmp_path_factory: pytest.TempPathFactory) -> TwoLaunches:
    """The first is frozen in the middle of sft until the second one waits for it."""
    directory = tmp_path_factory.mktemp("launched-twice")
    home = directory / "home"
    shutil.copytree(built.path, home)
    shutil.rmtree(home / "artifacts" / "sft")
    logs = directory / "first.log", directory / "second.log"
    with started(command(home), log=logs[0], env=environment(home)) as first:
        freeze_when(lambda: newest_checkpoint(home / "artifacts" / "sft") >= 2, process=first, log=logs[0])
        with started(command(home), log=logs[1], env=environment(home)) as second:
            wait_until(lambda: "waiting for" in logs[1].read_text(), process=second, log=logs[1])
            first.send_signal(signal.SIGCONT)
            assert first.wait(timeout=120) == 0, logs[0].read_text()
            assert second.wait(timeout=120) == 0, logs[1].read_text()
    return TwoLaunches(home, built.run.artifacts["sft"].key, first.pid, second.pid, logs[1].read_text())


def test_the_second_launch_waits_and_says_for_whom(launched_twice: TwoLaunches) -> None:
    builder = next(run.run_id for run in list_runs(launched_twice.home) if run.pid == launched_twice.first)
    waiting = f"waiting for run {builder} (pid {launched_twice.first}), which holds sft-{launched_twice.key}.build.lock"
    assert waiting in launched_twice.second_said
    assert "sft was built by another run meanwhile" in launched_twice.second_said


def test_the_stage_is_built_once(launched_twice: TwoLaunches) -> None:
    runs = {run.pid: run for run in list_runs(launched_twice.home)}
    assert {run.status for run in runs.values()} == {"completed"}
    manifest = ArtifactStore(launched_twice.home).manifest("sft", launched_twice.key)
    assert manifest.run_id == runs[launched_twice.first].run_id
    events = map(json.loads, (launched_twice.home / "lineage" / "events.jsonl").read_text().splitlines())
    starts = [event["job"]["name"] for event in events if event["eventType"] == "START"]
    assert starts.count("sft") == 2, "once for the built home, once for the two launches"


def test_what_the_second_launch_waited_for_counts_as_a_hit(launched_twice: TwoLaunches) -> None:
    (record,) = [run for run in list_runs(launched_twice.home) if run.pid == launched_twice.second]
    assert [use.stage for use in record.stages if not use.cached] == []


@pytest.mark.slow
def test_a_waiting_launch_takes_over_from_one_that_is_killed(home: Path, built: BuiltHome, tmp_path: Path) -> None:
    directory, key = home / "artifacts" / "sft", built.run.artifacts["sft"].key
    shutil.rmtree(directory)
    logs = tmp_path / "first.log", tmp_path / "second.log"
    with started(command(home, until="sft"), log=logs[0], env=environment(home)) as first:
        freeze_when(lambda: newest_checkpoint(directory) >= 4, process=first, log=logs[0])
        step = newest_checkpoint(directory)
        with started(command(home, until="sft"), log=logs[1], env=environment(home)) as second:
            wait_until(lambda: "waiting for" in logs[1].read_text(), process=second, log=logs[1])
            first.kill()
            assert second.wait(timeout=120) == 0, logs[1].read_text()
    assert f"sft          {step + 1}/30" in logs[1].read_text()
    manifest = ArtifactStore(home).manifest("sft", key)
    assert manifest.digest == built.run.artifacts["sft"].digest
    assert manifest.run_id == next(run.run_id for run in list_runs(home) if run.pid == second.pid)


def test_sql_waits_for_a_writer_and_then_says_who_it_is(
    home: Path, tmp_path: Path, thinkless: Callable[..., Said]
) -> None:
    log = tmp_path / "writer.log"
    hold = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print('held', flush=True); time.sleep(600)"
    ask = ["-m", "flows.cli", "sql", "select count(*) as n from pairs"]
    with started(["-c", hold, str(home / "catalog.duckdb")], log=log, env=environment(home)) as writer:
        wait_until(lambda: "held" in log.read_text(), process=writer, log=log)
        refused = thinkless(home, *ask[2:], THINKLESS_LOCK_TIMEOUT_SECONDS="1")
        assert refused.code == 2
        assert "is still held by" in refused.err
        assert str(writer.pid) in refused.err
        assert "THINKLESS_LOCK_TIMEOUT_SECONDS" in refused.err
        waiting_log = tmp_path / "waiting.log"
        with started(ask, log=waiting_log, env=environment(home)) as waiting:
            wait_until(lambda: "waiting for" in waiting_log.read_text(), process=waiting, log=waiting_log)
            writer.kill()
            assert waiting.wait(timeout=60) == 0, waiting_log.read_text()
    assert run_query(home, "select count(*) from runs", timeout_seconds=20).num_rows == 1
