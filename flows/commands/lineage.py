"""`thinkless lineage REF`: the ancestors and descendants of an artifact, or the path of a row through the stages."""

from __future__ import annotations

import argparse
import sys

from infra.catalog.lineage import ancestors, descendants, format_lineage, resolve
from infra.catalog.query import run_query
from infra.catalog.sql_text import sql_text
from infra.catalog.table_format import format_table
from infra.settings import Settings


def execute(arguments: argparse.Namespace) -> int:
    """Print the row's path, if REF names one, and the tree around the artifact that REF names or that holds the row."""
    settings = Settings.from_environment()
    home, timeout = settings.home, settings.lock_timeout_seconds
    path = run_query(home, sql_text("row_path"), timeout_seconds=timeout, parameters={"ref": arguments.ref})
    if path.num_rows:
        print(format_table(path, "table", cut=sys.stdout.isatty()))
        print()
    artifact = resolve(arguments.ref, home, timeout_seconds=timeout)
    up = ancestors(artifact, home, timeout_seconds=timeout)
    down = descendants(artifact, home, timeout_seconds=timeout)
    print(format_lineage(artifact, ancestors=up, descendants=down))
    return 0
