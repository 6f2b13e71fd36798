"""`thinkless catalog rebuild`: the catalog from nothing but manifests, Parquet files and run records."""

from __future__ import annotations

import argparse

from infra.artifact_store import ArtifactStore
from infra.catalog import Catalog
from infra.runs import list_runs
from infra.settings import Settings


def execute(arguments: argparse.Namespace) -> int:
    """Rebuild the catalog and say what is in it."""
    settings = Settings.from_environment().prepare()
    store = ArtifactStore(settings.home)
    catalog = Catalog(settings.home, timeout_seconds=settings.lock_timeout_seconds)
    catalog.rebuild(store, list_runs(settings.home))
    artifacts = sum(1 for _ in store.manifests())
    print(f"catalog rebuilt from {artifacts} artifacts and {len(list_runs(settings.home))} runs")
    return 0
