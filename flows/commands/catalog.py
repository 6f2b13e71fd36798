"""`thinkless catalog`: rebuilds the catalog from manifests and Parquet files, or verifies every artifact."""

from __future__ import annotations

import argparse

from infra.catalog.catalog import Catalog
from infra.runs import list_runs
from infra.settings import Settings
from infra.store.artifact_store import ArtifactStore


def execute(arguments: argparse.Namespace) -> int:
    """Rebuild the catalog, or verify all artifacts; prints the result."""
    settings = Settings.from_environment().prepare()
    store = ArtifactStore(settings.home)
    if arguments.action == "verify":
        damaged = list(store.damages())
        for manifest, damage in damaged:
            print(f"{manifest.stage}/{manifest.key}: {damage}; the next run rebuilds it")
        read = list(store.manifests())
        num_bytes = sum(manifest.num_bytes for manifest in read)
        looked = f"{len(read)} artifacts, {num_bytes / 1e6:,.1f} MB, read"
        print(f"{looked}: {len(damaged)} damaged" if damaged else f"{looked}: all are whole")
        return 2 if damaged else 0
    catalog = Catalog(settings.home, timeout_seconds=settings.lock_timeout_seconds)
    catalog.rebuild(store, list_runs(settings.home))
    artifacts = sum(1 for _ in store.manifests())
    print(f"catalog rebuilt from {artifacts} artifacts and {len(list_runs(settings.home))} runs")
    return 0
