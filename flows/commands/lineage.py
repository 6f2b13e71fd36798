"""`thinkless lineage REF`: the ancestors and descendants of an artifact."""

from __future__ import annotations

import argparse

from infra.catalog.lineage import ancestors, descendants, format_lineage, resolve
from infra.settings import Settings


def execute(arguments: argparse.Namespace) -> int:
    """Print the tree around one artifact."""
    home = Settings.from_environment().home
    artifact = resolve(arguments.ref, home)
    print(format_lineage(artifact, ancestors=ancestors(artifact, home), descendants=descendants(artifact, home)))
    return 0
