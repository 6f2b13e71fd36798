"""`thinkless lineage REF`: the ancestors and descendants of an artifact."""

from __future__ import annotations

import argparse

from infra.catalog.lineage import ancestors, descendants, format_lineage, resolve
from infra.settings import Settings


def execute(arguments: argparse.Namespace) -> int:
    """Print the tree around one artifact."""
    settings = Settings.from_environment()
    home, timeout = settings.home, settings.lock_timeout_seconds
    artifact = resolve(arguments.ref, home, timeout_seconds=timeout)
    up = ancestors(artifact, home, timeout_seconds=timeout)
    down = descendants(artifact, home, timeout_seconds=timeout)
    print(format_lineage(artifact, ancestors=up, descendants=down))
    return 0
