"""Leases: one holder, who is named; a dead one is replaced, a living one is not; none is removed by mistake."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from infra.leases import lease
from schemas.errors import Transient
from tests.forked import FORKS

BEAT, EXPIRY = 0.05, 0.6


def hold(path: Path, seconds: float, taken: multiprocessing.synchronize.Event) -> None:  # type: ignore[name-defined]
    with lease(path, owner="run 1", beat_seconds=BEAT, expiry_seconds=EXPIRY):
        taken.set()
        time.sleep(seconds)


def held_elsewhere(path: Path, seconds: float) -> multiprocessing.Process:
    taken = FORKS.Event()
    process = FORKS.Process(target=hold, args=(path, seconds, taken))
    process.start()
    assert taken.wait(60)
    return process  # type: ignore[return-value]


def test_a_holder_that_lives_keeps_it_past_the_expiry_and_is_named(tmp_path: Path) -> None:
    process = held_elsewhere(tmp_path / "lock", 60)
    try:
        with (
            pytest.raises(Transient, match=rf"held by run 1 \(pid {process.pid}\) after \d"),
            lease(tmp_path / "lock", owner="run 2", timeout_seconds=3 * EXPIRY, expiry_seconds=EXPIRY),
        ):
            raise AssertionError("two holders")
    finally:
        process.kill()
        process.join()


def test_one_that_is_killed_here_is_replaced_at_once_and_that_is_said(tmp_path: Path) -> None:
    process = held_elsewhere(tmp_path / "lock", 60)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    said: list[str] = []
    began = time.monotonic()
    with lease(tmp_path / "lock", owner="run 2", on_wait=said.append):
        assert json.loads((tmp_path / "lock").read_text())["owner"] == "run 2"
    assert time.monotonic() - began < 5, "the expiry was waited for"
    assert said == [f"run 1 (pid {process.pid}) has ended without releasing it; its lock lock is taken over"]
    assert list(tmp_path.iterdir()) == []


def test_one_of_another_machine_without_a_beat_is_replaced_after_the_expiry(tmp_path: Path) -> None:
    there = {"token": "x", "host": "n2", "pid": os.getpid(), "process_started": 0.0, "owner": "run 1", "beat": "0"}
    (tmp_path / "lock").write_text(json.dumps(there))
    said: list[str] = []
    began = time.monotonic()
    with lease(tmp_path / "lock", owner="run 2", on_wait=said.append, expiry_seconds=EXPIRY):
        waited = time.monotonic() - began
    assert EXPIRY <= waited < 10
    assert said[0].startswith("waiting for run 1 (pid")
    assert said[0].endswith("on n2), which holds lock")
    assert "on n2) gave no sign" in said[1]


def test_a_file_that_is_empty_or_no_lease_expires_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(b"")
    with lease(tmp_path / "lock", owner="run 2", expiry_seconds=EXPIRY):
        pass
    assert list(tmp_path.iterdir()) == []


def test_who_lost_it_does_not_remove_the_new_holders(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lease(path, owner="slow", beat_seconds=60):
        path.rename(tmp_path / "aside")  # as another process does after the expiry
        with lease(path, owner="quick"):
            pass
        path.write_text('{"token": "of a third"}')
    assert path.exists()


def test_of_many_threads_one_is_inside(tmp_path: Path) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(5):
            with lease(tmp_path / "lock", owner="a thread"):
                inside += 1
                most = max(most, inside)
                time.sleep(0.002)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert list(tmp_path.iterdir()) == []
