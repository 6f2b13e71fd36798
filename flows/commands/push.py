"""`thinkless push`: uploads a run and its artifacts to the remote; what is there already is not sent again."""

from __future__ import annotations

import argparse
from pathlib import Path

from flows.remote_of_settings import required_remote
from flows.run_choice import choose_run, stage_labels
from infra.remote.remote_store import Pushed
from infra.settings import Settings
from infra.store.artifact_store import ArtifactStore
from tasks.running.shared_artifacts import difference


def execute(arguments: argparse.Namespace) -> int:
    """Print one line per artifact: uploaded, there, or no longer here."""
    settings = Settings.from_environment()
    remote, store = required_remote(settings), ArtifactStore(settings.home)
    record = choose_run(settings.home, arguments.run)
    labels, differing = stage_labels(store, record), []
    for use in record.stages:
        artifact = store.find(use.stage, use.key)
        if artifact is None:
            print(f"{labels[use.key]:<12} gone      {use.key[:8]}  no longer in the store")
            continue
        pushed = remote.push(Path(artifact.path))
        megabytes = store.manifest(use.stage, use.key).num_bytes / 1e6
        print(f"{labels[use.key]:<12} {pushed:<9} {use.key[:8]}  {megabytes:,.1f} MB", flush=True)
        if pushed is Pushed.DIFFERS:
            differing.append(difference(remote, use.stage, use.key))
    remote.push_run(record)
    print("\n".join([*differing, f"run {record.run_id} is in {remote.url}"]))
    return 2 if differing else 0
