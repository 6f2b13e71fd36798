"""`thinkless sql`: read-only SQL over the catalog; without a query, a prompt for several."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from infra.catalog.query import run_query
from infra.catalog.table_format import Format, format_table
from infra.settings import Settings
from schemas.errors import QueryError

FORMATS: dict[str, Format] = {".parquet": "parquet", ".csv": "csv", ".json": "json"}
"""What a file's name ends in -> its format; other names: aligned text."""


def execute(arguments: argparse.Namespace) -> int:
    """Run one query and print its rows, or write them to a file; without a query on a terminal, ask for queries."""
    settings = Settings.from_environment()
    if arguments.query is arguments.file is arguments.output is None and sys.stdin.isatty() and sys.stdout.isatty():
        return _prompt(settings, _format(arguments.format, None))
    query = _query(arguments.query, arguments.file)
    fmt = _format(arguments.format, arguments.output)
    on_screen = arguments.output is None and sys.stdout.isatty()
    if on_screen:
        _refuse_on_screen(fmt)
    table = run_query(settings.home, query, timeout_seconds=settings.lock_timeout_seconds)
    text = format_table(table, fmt, cut=on_screen)
    if arguments.output is not None:
        _write(arguments.output, text if isinstance(text, bytes) else f"{text}\n".encode())
        print(f"{table.num_rows} rows are in {arguments.output}", file=sys.stderr)
    elif isinstance(text, bytes):
        sys.stdout.buffer.write(text)
    else:
        print(text)
    return 0


def _prompt(settings: Settings, fmt: Format) -> int:
    from flows.sql_prompt import run_prompt  # readline, which a query needs not

    _refuse_on_screen(fmt)
    run_prompt(
        lambda sql: run_query(settings.home, sql, timeout_seconds=settings.lock_timeout_seconds),
        show=lambda table: print(format_table(table, fmt)),
        home=settings.home,
    )
    return 0


def _refuse_on_screen(fmt: Format) -> None:
    if fmt == "parquet":
        raise QueryError("parquet cannot be printed on a screen; add --output FILE or redirect the output")


def _query(query: str | None, file: Path | None) -> str:
    """The statement, from the command line, a file or standard input; raises QueryError."""
    if (query is None) == (file is None):
        got = "none" if query is None else "both"
        raise QueryError(f'a query or --file FILE is expected, got {got}; for example: thinkless sql "show tables"')
    if file is None:
        return sys.stdin.read() if query == "-" else str(query)
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise QueryError(f"--file {file} cannot be read: {error}; give a text file with one SQL statement") from error


def _format(asked: Format | None, output: Path | None) -> Format:
    """The format that was asked for, else the one that the file's name says; raises QueryError if they differ."""
    named = FORMATS.get(output.suffix.lower()) if output is not None else None
    if asked is not None and named is not None and asked != named:
        raise QueryError(f"--format {asked} and --output {output} contradict each other; leave --format out")
    return asked or named or "table"


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise QueryError(
            f"--output {path}: {error.strerror}; give a file in a directory that exists and can be written"
        ) from error
