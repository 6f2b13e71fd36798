"""Run records on disk, and the truth about runs whose process is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.runs import (
    PROCESS_ENDED,
    StageUse,
    add_stage,
    finish_run,
    list_runs,
    load_run,
    save_run,
    start_run,
)
from schemas.errors import MissingArtifactError, StoreError

LAUNCH = """
import sys, time
from pathlib import Path
from infra.runs import save_run, start_run
save_run(Path(sys.argv[1]), start_run("killed", profile="tiny", config={}))
print("saved", flush=True)
time.sleep(60)
"""


def test_a_record_survives_the_disk(tmp_path: Path) -> None:
    record = start_run("run-1", profile="tiny", config={"rl": {"gamma": 0.5}, "names": ["ü"]})
    record = add_stage(record, StageUse(stage="base", key="k1", cached=True))
    save_run(tmp_path, record)
    assert load_run(tmp_path, "run-1") == record
    assert record.status == "running"


def test_a_finished_run_is_completed_or_failed_with_its_error_or_cancelled() -> None:
    record = start_run("run-1", profile="tiny", config={})
    done, failed = finish_run(record), finish_run(record, error=OSError("disk full"))
    assert (done.status, done.error) == ("completed", None)
    assert (failed.status, failed.error) == ("failed", "OSError: disk full")
    stopped = finish_run(record, error=KeyboardInterrupt())
    assert (stopped.status, stopped.error) == ("cancelled", "KeyboardInterrupt")
    assert done.finished_at is not None
    assert done.finished_at >= done.started_at


def test_a_stage_settled_twice_is_listed_once() -> None:
    record = start_run("run-1", profile="tiny", config={})
    record = add_stage(record, StageUse(stage="teach", key="k1", cached=False))
    record = add_stage(record, StageUse(stage="teach", key="k2", cached=False))
    record = add_stage(record, StageUse(stage="teach", key="k1", cached=True))
    assert record.stages == (
        StageUse(stage="teach", key="k2", cached=False),
        StageUse(stage="teach", key="k1", cached=True),
    )


def test_runs_are_listed_oldest_first(tmp_path: Path) -> None:
    for run_id in ("b", "a", "c"):
        save_run(tmp_path, start_run(run_id, profile="tiny", config={}))
    assert [record.run_id for record in list_runs(tmp_path)] == ["b", "a", "c"]
    assert list_runs(tmp_path / "nothing here") == []


def test_a_run_killed_with_minus_nine_is_reported_as_failed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", LAUNCH, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "saved\n"
        assert list_runs(tmp_path)[0].status == "running"
        os.kill(process.pid, signal.SIGKILL)
    record = list_runs(tmp_path)[0]
    assert (record.status, record.error) == ("failed", PROCESS_ENDED)
    assert record.finished_at is not None


def test_another_process_with_the_same_pid_does_not_keep_a_run_alive(tmp_path: Path) -> None:
    record = start_run("run-1", profile="tiny", config={})
    save_run(tmp_path, record.model_copy(update={"process_started": record.process_started - 3600}))
    assert load_run(tmp_path, "run-1").status == "failed"


def test_a_run_of_another_host_is_believed(tmp_path: Path) -> None:
    record = start_run("run-1", profile="tiny", config={})
    save_run(tmp_path, record.model_copy(update={"host": "elsewhere", "pid": 1, "process_started": 0.0}))
    assert load_run(tmp_path, "run-1").status == "running"


def test_an_unknown_run_is_named_with_the_newest_ones(tmp_path: Path) -> None:
    save_run(tmp_path, start_run("run-1", profile="tiny", config={}))
    with pytest.raises(MissingArtifactError, match=r"no run 'run-7'.*newest: run-1"):
        load_run(tmp_path, "run-7")


def test_a_damaged_record_is_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_run(tmp_path, start_run("run-1", profile="tiny", config={}))
    (tmp_path / "runs" / "run-2.json").write_text('{"run_id": "run-2"')
    assert [record.run_id for record in list_runs(tmp_path)] == ["run-1"]
    assert "run-2.json" in caplog.text
    with pytest.raises(StoreError, match=r"run-2\.json cannot be read"):
        load_run(tmp_path, "run-2")
