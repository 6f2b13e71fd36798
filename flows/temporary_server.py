"""Prefect's temporary server must not outlive the run that started it, not even after kill -9.

A run without PREFECT_API_URL makes Prefect start a server as a child process. It is stopped at a normal exit; a killed
process cannot stop anything. So a shell waits at the other end of a pipe that the kernel closes when this process dies.
"""

from __future__ import annotations

import subprocess

import psutil

_MARK = "prefect.server.api.server:create_app"
_guards: list[subprocess.Popen[bytes]] = []
"""Held, because the pipe is closed with the object."""


def guard_temporary_servers() -> None:
    """Make sure that every temporary server among this process's children dies with it."""
    for child in psutil.Process().children():
        if _MARK in child.cmdline():
            _guards.append(
                subprocess.Popen(
                    ["/bin/sh", "-c", f"cat >/dev/null; kill {child.pid} 2>/dev/null"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C ends the run, and only then the guard's pipe
                )
            )
