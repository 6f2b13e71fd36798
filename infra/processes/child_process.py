"""Child processes that cannot outlive their parent, with their output in a log.

command -> child, with a shell at the other end of a pipe -> exit code
The kernel closes the pipe when this process ends for any reason; then the shell ends the child.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.disk import writing

_guards: list[subprocess.Popen[bytes]] = []
"""Kept referenced, because the pipe closes when the object is freed."""
_running: set[subprocess.Popen[bytes]] = set()
"""Children of `run_logged`, which may be called from several threads."""


@dataclass(frozen=True)
class ChildCommand:
    """A command, and the log file of its output."""

    words: tuple[str, ...]
    log: Path
    """An existing file is replaced."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables in addition to those of this process."""


def ends_with_this_process(pid: int) -> subprocess.Popen[bytes]:
    """Make a guard that sends SIGTERM to a process as soon as this one is gone; kill the guard if that process ends."""
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
    """Run a command until it ends, with all its output in its log; returns its exit code.

    The child ends with this process. Raises StoreError if the log cannot be written.
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
        guard.kill()  # before the child's pid can be given to another process
        guard.wait()
        _guards.remove(guard)


def end_children() -> None:
    """Ask every child of `run_logged`, in all threads, to end."""
    for child in tuple(_running):
        child.terminate()
