"""Processes that tests start, freeze at a chosen moment, kill, and look for afterwards.

A process is watched through what it leaves on disk. It is frozen (SIGSTOP) as soon as the moment is there, so that
what a test then reads is what the process had done when it died.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.forked import ForkedPython

ROOT = Path(__file__).parents[2]
POLL_SECONDS = 0.002
PATIENCE_SECONDS = 120.0
"""A busy machine is slow; a test that waits for ever tells nothing."""


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


def environment(home: Path, **more: str) -> dict[str, str]:
    """This process's environment, with another home and nothing that points to a Prefect server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "THINKLESS_"))}
    return kept | {"THINKLESS_HOME": str(home), "OMP_NUM_THREADS": "1", "NO_COLOR": "1"} | more


def fresh_command(arguments: Sequence[str], *, cwd: Path = ROOT, env: Mapping[str, str]) -> Said:
    """`thinkless ARGUMENTS` in a fresh interpreter, by the console script."""
    program = str(Path(sys.executable).with_name("thinkless"))
    finished = subprocess.run([program, *arguments], cwd=cwd, env=env, capture_output=True, text=True, timeout=600)
    return Said(finished.returncode, finished.stdout, finished.stderr)


@contextmanager
def started(words: Sequence[str], *, log: Path, env: Mapping[str, str]) -> Iterator[ForkedPython]:
    """`python WORDS` in a group of its own, with all it says in `log`; killed with its children if it is left behind.

    It hears SIGINT even where the tests themselves were started in the background, by a shell that has it ignored.
    """
    log.touch()
    process = ForkedPython(words, cwd=ROOT, env=env, stdout=log)
    family: list[psutil.Process] = []
    try:
        yield process
    finally:
        if process.poll() is None:
            family = family_of(process.pid)
            process.kill()
            process.wait()
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()


def wait_until(moment: Callable[[], bool], *, process: ForkedPython, log: Path) -> None:
    """Return as soon as `moment` is there; fails where the process ends or patience does first."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not moment():
        assert process.poll() is None, f"ended (exit code {process.poll()}) too early:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"nothing after {PATIENCE_SECONDS:g} s:\n{log.read_text()}"
        time.sleep(POLL_SECONDS)


def freeze_when(moment: Callable[[], bool], *, process: ForkedPython, log: Path) -> None:
    """Stop the process in its tracks at a moment; it goes on at SIGCONT or dies at SIGKILL."""
    wait_until(moment, process=process, log=log)
    process.send_signal(signal.SIGSTOP)


def kill_9(process: ForkedPython) -> None:
    """A real kill -9."""
    process.kill()
    assert process.wait(timeout=30) == -signal.SIGKILL


def stop(process: ForkedPython, sent: signal.Signals) -> None:
    """Send a signal that ends the process, and wait for its end."""
    if sent is signal.SIGKILL:
        kill_9(process)
    else:
        process.send_signal(sent)
        process.wait(timeout=60)


def family_of(pid: int) -> list[psutil.Process]:
    """All living descendants of a process."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def still_alive(members: Sequence[psutil.Process], *, after_seconds: float) -> list[psutil.Process]:
    """Those that have not ended within a time."""
    _, alive = psutil.wait_procs(members, timeout=after_seconds)
    return [member for member in alive if member.status() != psutil.STATUS_ZOMBIE]
