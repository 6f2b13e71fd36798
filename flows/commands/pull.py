"""`thinkless pull`: downloads a run and its artifacts from the remote; every byte is checked before it is believed."""

from __future__ import annotations

import argparse

from flows.recipe import stage_names
from flows.remote_of_settings import remote_run, required_remote
from infra.catalog.catalog import Catalog
from infra.remote.remote_store import RemoteStore
from infra.runs import RunRecord, StageUse, list_runs, save_run
from infra.settings import Settings
from infra.store.artifact_store import ArtifactStore
from schemas.errors import ConfigError, nearest
from tasks.running.shared_artifacts import difference, fetch


def execute(arguments: argparse.Namespace) -> int:
    """Print one line per artifact: downloaded, there, or missing; the catalog then knows them and the run."""
    settings = Settings.from_environment().prepare()
    known = stage_names()
    for name in arguments.stage:
        if name not in known:
            raise ConfigError(f"--stage: unknown stage {name!r}; {nearest(name, known)}")
    remote, store = required_remote(settings), ArtifactStore(settings.home)
    record = remote_run(remote, arguments.run)
    wanted = [use for use in record.stages if not arguments.stage or use.stage in arguments.stage]
    differing = [sentence for use in wanted if (sentence := _pull(remote, store, record, use))]
    if record.run_id not in {run.run_id for run in list_runs(settings.home)}:
        save_run(settings.home, record)
    held = [(use.stage, use.key) for use in record.stages if store.holds(use.stage, use.key)]
    here = [(store.manifest(*key), store.path(*key)) for key in held]
    Catalog(settings.home, timeout_seconds=settings.lock_timeout_seconds).record_run(record, found=here)
    print("\n".join([*differing, f"run {record.run_id} is in {settings.home}"]))
    return 2 if differing else 0


def _pull(remote: RemoteStore, store: ArtifactStore, record: RunRecord, use: StageUse) -> str:
    """Download one artifact and print what became of it; returns a sentence if it is another one here."""
    here = store.find(use.stage, use.key)
    if here is not None:
        there = remote.manifest(use.stage, use.key)
        differs = there is not None and there.digest != here.digest
        _show(store, use, "differs" if differs else "there")
        return difference(remote, use.stage, use.key) if differs else ""
    manifest = fetch(remote, store, use.stage, use.key, owner=f"pull of {record.run_id}")
    _show(store, use, "missing" if manifest is None else "downloaded")
    return ""


def _show(store: ArtifactStore, use: StageUse, word: str) -> None:
    if word == "missing":
        print(f"{use.stage:<12} {word:<11} {use.key[:8]}  not in the remote")
        return
    manifest = store.manifest(use.stage, use.key)
    print(f"{manifest.label:<12} {word:<11} {use.key[:8]}  {manifest.num_bytes / 1e6:,.1f} MB", flush=True)
