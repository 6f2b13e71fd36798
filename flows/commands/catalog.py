"""`thinkless catalog`: the catalog from nothing but manifests and files (rebuild), or every byte checked (verify)."""

from __future__ import annotations

import argparse

from infra.catalog.catalog import Catalog
from infra.runs import list_runs
from infra.settings import Settings
from infra.store.artifact_store import ArtifactStore


def execute(arguments: argparse.Namespace) -> int:
    """Rebuild the catalog, or check what it was made from; says what came of it."""
    settings = Settings.from_environment().prepare()
    store = ArtifactStore(settings.home)
    if arguments.action == "verify":
        damaged = list(store.damages())
        for manifest, damage in damaged:
            print(f"{manifest.stage}/{manifest.key}: {damage}; the next run builds it again")
        print(f"{len(damaged)} damaged artifacts" if damaged else "all artifacts are whole")
        return 2 if damaged else 0
    catalog = Catalog(settings.home, timeout_seconds=settings.lock_timeout_seconds)
    catalog.rebuild(store, list_runs(settings.home))
    artifacts = sum(1 for _ in store.manifests())
    print(f"catalog rebuilt from {artifacts} artifacts and {len(list_runs(settings.home))} runs")
    return 0
