"""`thinkless runs`: all runs, newest last, or one run with its stages and results."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from flows.commands.run import show_results
from flows.config_changes import changes_from_profile
from flows.run_choice import all_runs, choose_run, stage_labels
from infra.catalog.table_format import format_table
from infra.runs import RunRecord
from infra.settings import Settings
from infra.store.artifact_store import ArtifactStore
from schemas.errors import ConfigError


def execute(arguments: argparse.Namespace) -> int:
    """List the runs, or show one."""
    home = Settings.from_environment().home
    if arguments.action == "list":
        if arguments.run is not None:
            raise ConfigError(f"runs list {arguments.run}: list takes no run; did you mean: runs show {arguments.run}")
        store = ArtifactStore(home)
        rows = [_row(run, store) for run in all_runs(home)]
        print(format_table(pa.Table.from_pylist(rows, _COLUMNS), arguments.format))
        return 0
    if arguments.format != "table":
        raise ConfigError(f"runs show has no --format {arguments.format}; list has, and `thinkless sql` for the rest")
    _show(home, choose_run(home, arguments.run))
    return 0


_COLUMNS = pa.schema(
    [(name, pa.string()) for name in ("run", "profile", "status", "started", "took")]
    + [("built", pa.int64()), ("cached", pa.int64()), ("last_stage", pa.string()), ("study", pa.string())]
)


def _row(run: RunRecord, store: ArtifactStore) -> dict[str, object]:
    cached = sum(use.cached for use in run.stages)
    return {
        "run": run.run_id,
        "profile": run.profile,
        "status": run.status,
        "started": _minute(run.started_at),
        "took": _took(run),
        "built": len(run.stages) - cached,
        "cached": cached,
        "last_stage": list(stage_labels(store, run).values())[-1] if run.stages else "",
        "study": run.study or "",
    }


def _show(home: Path, run: RunRecord) -> None:
    store = ArtifactStore(home)
    member = f", a member of study {run.study}" if run.study else ""
    print(f"run {run.run_id}  profile {run.profile}{member}  {run.status}  {_minute(run.started_at)} UTC  {_took(run)}")
    if run.error:
        print(f"  {run.error}")
    if run.flow_run_id:
        print(f"  Prefect flow run {run.flow_run_id}")
    for change in changes_from_profile(run):
        print(f"  {change}")
    print()
    labels = stage_labels(store, run)
    for use in run.stages:
        print(f"{labels[use.key]:<12} {use.word:<6} {use.key}  {store.path(use.stage, use.key)}")
    held = [use for use in run.stages if store.holds(use.stage, use.key)]
    if gone := [use.stage for use in run.stages if use not in held]:
        print(f"no longer in the store: {', '.join(dict.fromkeys(gone))}")
    keys = {use.stage: use.key for use in held if use.stage in ("evaluate", "report")}
    if "evaluate" in keys:
        print()
    show_results(keys)


def _minute(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%Y-%m-%d %H:%M}"


def _took(run: RunRecord) -> str:
    if run.finished_at is None:
        return ""
    seconds = (datetime.fromisoformat(run.finished_at) - datetime.fromisoformat(run.started_at)).total_seconds()
    hours, minutes = divmod(int(seconds) // 60, 60)
    return (
        f"{hours} h {minutes} min"
        if hours
        else f"{minutes} min {seconds % 60:.0f} s"
        if minutes
        else f"{seconds:.1f} s"
    )
