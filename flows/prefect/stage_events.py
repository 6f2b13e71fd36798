"""What Prefect's event log is told about a stage: its artifact is an asset, and a lost mode is an event.

plan -> asset `thinkless://STAGE/KEY` -> prefect.asset.materialization.succeeded | .failed, with its upstream assets
rl -> decisions of the collapse guard -> thinkless.collapse

The server keeps these events, its event feed lists them, and automations can wait for them. A page of assets is in
Prefect Cloud alone; the self-hosted UI of 3.7 has none. An artifact that the store already had is not made again: its
task is Cached and tells nothing, and what is built from it names it as upstream.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
from prefect.assets import add_asset_metadata
from prefect.events import emit_event

from flows.recipe import AnyPlan
from schemas.artifact import Artifact
from schemas.errors import CollapseError
from schemas.records.guard_events import GuardEvent
from tasks.running.build import run_stage
from tasks.running.context import RunContext

COLLAPSE = "thinkless.collapse"
"""Event of a run in which RL lost a mode, whatever `rl.guard.policy` then did."""


def asset_key(made: AnyPlan | Artifact) -> str:
    """Key of an artifact, built or planned, as a Prefect asset."""
    return f"thinkless://{made.stage}/{made.key}"


def build_and_tell(context: RunContext, plan: AnyPlan) -> Artifact:
    """Build one stage inside its task run; the events follow."""
    asset = asset_key(plan)
    try:
        artifact = run_stage(context, plan)
    except CollapseError as error:
        _tell_collapse(asset, reason=str(error))
        raise
    add_asset_metadata(asset, {"label": plan.label, "rows": artifact.rows, "path": artifact.path})
    if losses := _lost_modes(Path(artifact.path) / GuardEvent.FILE):
        _tell_collapse(asset, reason="\n".join(losses))
    return artifact


def _lost_modes(guard_events: Path) -> list[str]:
    """Why the guard said that a mode is lost, each time it did."""
    if not guard_events.is_file():
        return []
    rows = pq.read_table(guard_events).to_pylist()
    return [row["reason"] for row in rows if row["action"] != "release"]


def _tell_collapse(asset: str, *, reason: str) -> None:
    emit_event(COLLAPSE, resource={"prefect.resource.id": asset}, payload={"reason": reason})
