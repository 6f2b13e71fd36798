"""Workers: the work is done whoever of them is killed, and an error of one is said once and ends all."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from infra.processes.workers import VISIBLE_GPUS, Workers, run_workers
from schemas.errors import EvaluationError, WorkerError
from tests.unit.infra.processes.worker_job import chunks_in

CHUNKS = 5


def workers(folder: Path, *, processes: int = 2, **job: Any) -> Workers:
    """Workers on five chunks in `folder`."""
    (folder / "place").mkdir(exist_ok=True)
    return Workers(
        label="evaluate",
        module="tests.unit.infra.processes.worker_job",
        job={"place": str(folder / "place"), "chunks": CHUNKS, "failing": [], "kind": "killed"} | job,
        processes=processes,
        folder=folder / "workers",
    )


def done(folder: Path) -> list[bool]:
    """Which chunks are done."""
    return [chunk.file.exists() for chunk in chunks_in(folder / "place", CHUNKS)]


def test_all_chunks_are_done_and_the_number_at_work_is_told(tmp_path: Path) -> None:
    looks: list[int] = []
    run_workers(workers(tmp_path), look=looks.append, note=pytest.fail)
    assert all(done(tmp_path))
    assert looks[-1] == 0
    assert set(looks) <= {0, 1, 2}


def test_a_killed_worker_is_named_and_another_does_its_chunk(tmp_path: Path) -> None:
    notes: list[str] = []
    run_workers(workers(tmp_path, processes=3, failing=[1]), look=lambda _: None, note=notes.append)
    assert all(done(tmp_path))
    assert notes == [
        "worker 1 of 3 was ended by SIGKILL (the kernel sends it if memory runs out); the others do its share"
    ]


def test_if_all_are_killed_each_is_named_and_the_next_call_goes_on(tmp_path: Path) -> None:
    with pytest.raises(
        WorkerError, match=r"(?s)^evaluate: worker \d of 2 was ended by SIGKILL .*; worker \d of 2 .*"
    ) as (raised):
        run_workers(workers(tmp_path, failing=[0, 1]), look=lambda _: None, note=lambda _: None)
    assert "nobody is left. Finished chunks are kept" in str(raised.value)
    assert "is here" in str(raised.value)
    run_workers(workers(tmp_path), look=lambda _: None, note=pytest.fail)
    assert all(done(tmp_path))


def test_an_error_of_this_project_is_said_with_its_worker(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"^told to \(evaluate, worker 1 of 2\)$"):
        run_workers(workers(tmp_path, failing=[1], kind="ours"), look=lambda _: None, note=pytest.fail)


def test_any_other_error_names_its_worker_and_quotes_its_last_lines(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(
        WorkerError, match=r"(?s)^evaluate: worker 0 of 2 met ValueError: told to; finished .*Traceback"
    ):
        # The other one waits for a worker that there is not.
        run_workers(workers(tmp_path, failing=[0, 7], kind="theirs"), look=lambda _: None, note=pytest.fail)
    assert time.monotonic() - started < 45, "the other worker was waited for"


def test_each_worker_has_gpus_of_its_own_among_those_of_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def given(num_gpus: int, each: int = 1) -> list[object]:
        found = Workers("evaluate", "module", {}, 2, tmp_path, num_gpus=num_gpus, gpus_each=each)
        return [command.variables.get(VISIBLE_GPUS) for command in found.commands()]

    monkeypatch.delenv(VISIBLE_GPUS, raising=False)
    assert given(0) == [None, None]
    assert given(2) == ["0", "1"]
    assert given(4, each=2) == ["0,1", "2,3"]
    monkeypatch.setenv(VISIBLE_GPUS, "3,GPU-5e")
    assert given(2) == ["3", "GPU-5e"]
