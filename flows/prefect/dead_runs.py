"""Ends flow runs whose process is gone: a server by itself shows them as Running for ever.

run records of the home -> those without a living process -> their flow runs, if still Running -> Crashed
"""

from __future__ import annotations

import logging
from pathlib import Path
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from infra.runs import RunRecord, list_runs

logger = logging.getLogger("thinkless")
NEWEST = 100
"""Runs that are looked at."""


def end_dead_runs(home: Path, *, besides: str) -> None:
    """Set every flow run to Crashed that the server takes for alive and whose process is gone.

    Not one that was begun anew, as the UI's Retry does: one that a living run has, too, or the one with id `besides`.
    """
    records = list_runs(home)[-NEWEST:]
    alive = {besides, *(record.flow_run_id for record in records if record.status == "running")}
    dead = [record for record in records if record.has_died and record.flow_run_id not in (None, *alive)]
    if not dead:
        return
    with get_client(sync_client=True) as client:
        for record in dead:
            try:
                _end(client, record)
            except (httpx.HTTPError, ObjectNotFound):  # of another server
                continue


def _end(client: SyncPrefectClient, record: RunRecord) -> None:
    found = client.read_flow_run(UUID(record.flow_run_id))
    if found.state is None or found.state.is_final():
        return
    client.set_flow_run_state(found.id, Crashed(message=f"{record.error} ({record.host})"), force=True)
    logger.warning("flow run %s was still %s, and its process is gone: set to Crashed", found.name, found.state.name)
