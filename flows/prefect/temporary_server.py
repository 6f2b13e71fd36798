"""Prefect's temporary server must not outlive the run that started it, not even after kill -9.

A run without PREFECT_API_URL makes Prefect start a server as a child process. It is stopped at a normal exit; a killed
process cannot stop anything, so a guard does.
"""

from __future__ import annotations

import psutil

from infra.processes.child_process import ends_with_this_process

_MARK = "prefect.server.api.server:create_app"


def guard_temporary_servers() -> None:
    """Make sure that every temporary server among this process's children dies with it."""
    for child in psutil.Process().children():
        if _MARK in child.cmdline():
            ends_with_this_process(child.pid)
