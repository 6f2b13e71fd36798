"""`thinkless remote status`: whether the remote answers, what it holds, and what is only here or only there."""

from __future__ import annotations

import argparse

import pyarrow as pa

from flows.remote_of_settings import required_remote
from infra.catalog.table_format import format_table
from infra.runs import list_runs
from infra.settings import Settings
from infra.store.artifact_store import ArtifactStore
from tasks.running.shared_artifacts import difference

_COLUMNS = pa.schema(
    [(name, pa.string()) for name in ("run", "profile", "status")]
    + [(name, pa.int64()) for name in ("stages", "here", "there")]
)


def execute(arguments: argparse.Namespace) -> int:
    """Print a table of all runs of both sides, and a line for each artifact that differs."""
    settings = Settings.from_environment()
    remote, store = required_remote(settings), ArtifactStore(settings.home)
    there = remote.keys()
    here = {(manifest.stage, manifest.key): manifest for manifest in store.manifests()}
    runs = {run.run_id: run for run in (*remote.runs(), *list_runs(settings.home))}
    rows = [
        {
            "run": run.run_id,
            "profile": run.profile,
            "status": run.status,
            "stages": len(run.stages),
            "here": sum((use.stage, use.key) in here for use in run.stages),
            "there": sum((use.stage, use.key) in there for use in run.stages),
        }
        for run in sorted(runs.values(), key=lambda run: (run.started_at, run.run_id))
    ]
    if rows:
        print(format_table(pa.Table.from_pylist(rows, _COLUMNS), "table"))
    both = there & here.keys()
    print(f"{remote.url}: {len(there)} artifacts; {len(both)} of them are here, {len(here) - len(both)} are only here")
    differing = []
    for stage, key in sorted(both):
        manifest = remote.manifest(stage, key)
        if manifest is not None and manifest.digest != here[stage, key].digest:
            differing.append(difference(remote, stage, key))
    print("\n".join(differing), end="\n" if differing else "")
    return 2 if differing else 0
