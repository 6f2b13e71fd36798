"""Locks between real processes and threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from infra.locks import file_lock
from schemas.errors import StoreError, Transient

HOLD = """
import sys, time
from pathlib import Path
from infra.locks import file_lock
with file_lock(Path(sys.argv[1]), owner="the other run"):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def hold_in_another_process(path: Path, *, seconds: float) -> subprocess.Popen[str]:
    """A process that holds the lock; returns once it does."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path), str(seconds)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_waiter_is_told_once_by_whom_and_gets_the_lock_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "a.lock"
    said: list[str] = []
    with hold_in_another_process(path, seconds=0.6) as other:
        with file_lock(path, owner="me", timeout_seconds=20, on_wait=said.append):
            pass
        assert said == [f"waiting for the other run (pid {other.pid}), which holds a.lock"]


def test_running_out_of_patience_is_transient_and_names_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    other = hold_in_another_process(path, seconds=60)
    try:
        with (
            pytest.raises(Transient, match=rf"held by the other run \(pid {other.pid}\)"),
            file_lock(path, owner="me", timeout_seconds=0.2),
        ):
            pytest.fail("the lock was given twice")
    finally:
        other.kill()
        other.communicate()


def test_kill_minus_nine_releases_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    other = hold_in_another_process(path, seconds=60)
    os.kill(other.pid, signal.SIGKILL)
    other.communicate()
    with file_lock(path, owner="me", timeout_seconds=5):
        pass


def test_threads_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def work() -> None:
        with file_lock(tmp_path / "a.lock", owner="thread", timeout_seconds=20):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.02)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 5


def test_a_forked_child_neither_keeps_nor_releases_its_parents_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    parked, wake = os.pipe()
    with file_lock(path, owner="parent"):
        child = os.fork()
        if child == 0:
            os.close(wake)
            os.read(parked, 1)  # lives on after the parent's block
            os._exit(0)
        os.close(parked)
        with (
            pytest.raises(Transient, match="held by parent"),
            file_lock(path, owner="other", timeout_seconds=0.1),
        ):
            pytest.fail("the lock was given twice")
    with file_lock(path, owner="other", timeout_seconds=5):
        pass
    os.close(wake)
    os.waitpid(child, 0)


def test_an_error_inside_the_block_releases_the_lock(tmp_path: Path) -> None:
    with pytest.raises(KeyError), file_lock(tmp_path / "a.lock", owner="me"):
        raise KeyError
    with file_lock(tmp_path / "a.lock", owner="me", timeout_seconds=0):
        pass


def test_a_lock_that_cannot_be_created_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="THINKLESS_HOME"), file_lock(tmp_path / "file" / "a.lock", owner="me"):
        pass
