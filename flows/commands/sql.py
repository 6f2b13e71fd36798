"""`thinkless sql`: read-only SQL over the catalog."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from infra.catalog.query import format_table, run_query
from infra.settings import Settings
from schemas.errors import QueryError


def execute(arguments: argparse.Namespace) -> int:
    """Run one query and print its rows."""
    settings = Settings.from_environment()
    table = run_query(settings.home, arguments.query, timeout_seconds=settings.lock_timeout_seconds)
    text = format_table(table, arguments.format)
    if arguments.output:
        _write(Path(arguments.output), text if isinstance(text, bytes) else text.encode())
    elif isinstance(text, bytes):
        if sys.stdout.isatty():
            raise QueryError("parquet cannot be printed on a screen; add --output FILE or redirect the output")
        sys.stdout.buffer.write(text)
    else:
        print(text)
    return 0


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise QueryError(
            f"--output {path}: {error.strerror}; give a file in a directory that exists and can be written"
        ) from error
