"""Child processes that cannot outlive their parent, and what they say in a log.

command -> child, with a shell at the other end of a pipe -> exit code
The kernel closes the pipe when this process dies, however it dies; then the shell ends the child.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.disk import writing

_guards: list[subprocess.Popen[bytes]] = []
"""Held, because the pipe is closed with the object."""
_running: set[subprocess.Popen[bytes]] = set()
"""Children of `run_logged`, which may be called from several threads."""


@dataclass(frozen=True)
class ChildCommand:
    """A command, and where it says what it does."""

    words: tuple[str, ...]
    log: Path
    """Replaced."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables beside those of this process."""


def ends_with_this_process(pid: int) -> subprocess.Popen[bytes]:
    """Have SIGTERM sent to a process as soon as this one is gone; returns the guard, to be killed if it ends before."""
    guard = subprocess.Popen(
        ["/bin/sh", "-c", f"cat >/dev/null; kill {pid} 2>/dev/null"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C ends the run, and only then the guard's pipe
    )
    _guards.append(guard)
    return guard


def run_logged(command: ChildCommand) -> int:
    """Run a command to its end, all it says in its log; returns its exit code.

    The child ends with this process. Raises StoreError where the log cannot be written.
    """
    with writing(command.log):
        command.log.parent.mkdir(parents=True, exist_ok=True)
        stream = command.log.open("wb")
    env = {**os.environ, **command.variables}
    with stream:
        child = subprocess.Popen(
            command.words, env=env, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT
        )
    _running.add(child)
    guard = ends_with_this_process(child.pid)
    try:
        return child.wait()
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait()
        _running.discard(child)
        guard.kill()  # before the child's number can belong to another process
        guard.wait()
        _guards.remove(guard)


def end_children() -> None:
    """Ask every child of `run_logged` to end, whichever thread waits for it."""
    for child in tuple(_running):
        child.terminate()
