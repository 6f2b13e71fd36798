"""The server that Prefect starts for a run without PREFECT_API_URL: a child process, which lives as long as the run.

Prefect stops it at a normal exit. A killed process cannot stop it, so a guard process does, even after kill -9.
"""

from __future__ import annotations

import httpx
import psutil
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS

from infra.processes.child_process import ends_with_this_process
from schemas.errors import ConfigError

_MARK = "prefect.server.api.server:create_app"


def start_temporary_server() -> None:
    """Start it before the flow does, if no server is configured; raises ConfigError if it does not answer in time."""
    if PREFECT_API_URL.value():
        return
    server = SubprocessASGIServer()
    try:
        server.start()
    except (RuntimeError, httpx.HTTPError) as error:
        server.stop()
        limit = PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS
        raise ConfigError(
            f"Prefect's temporary server did not answer within {limit.value()} s ({error}); add --no-prefect, or give "
            f"it more time: {limit.name}=600 in front of the command"
        ) from error


def guard_temporary_servers() -> None:
    """Make every temporary server among this process's children end with this process."""
    for child in psutil.Process().children():
        if _MARK in child.cmdline():
            ends_with_this_process(child.pid)
