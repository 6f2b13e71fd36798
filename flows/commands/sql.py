"""`thinkless sql`: read-only SQL over the catalog."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from infra.query import format_table, run_query
from infra.settings import Settings
from schemas.errors import QueryError


def execute(arguments: argparse.Namespace) -> int:
    """Run one query and print its rows."""
    settings = Settings.from_environment()
    table = run_query(settings.home, arguments.query, timeout_seconds=settings.lock_timeout_seconds)
    text = format_table(table, arguments.format)
    if arguments.output:
        path = Path(arguments.output)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    elif isinstance(text, bytes):
        if sys.stdout.isatty():
            raise QueryError("parquet is not for a screen; add --output FILE or redirect the output")
        sys.stdout.buffer.write(text)
    else:
        print(text)
    return 0
