"""Ends Prefect's temporary server together with the run that started it, even after kill -9.

In a run without PREFECT_API_URL, Prefect starts a server as a child process and stops it at a normal exit. A killed
process cannot stop it, so a guard process does.
"""

from __future__ import annotations

import psutil

from infra.processes.child_process import ends_with_this_process

_MARK = "prefect.server.api.server:create_app"


def guard_temporary_servers() -> None:
    """Make every temporary server among this process's children end with this process."""
    for child in psutil.Process().children():
        if _MARK in child.cmdline():
            ends_with_this_process(child.pid)
