"""Writes records to Parquet files in bounded memory, and reads them back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import pyarrow.parquet as pq
from pydantic import TypeAdapter

from schemas.base import Record, arrow_schema, records_to_table

R = TypeVar("R", bound=Record)
ROWS_PER_GROUP = 20_000


def write_records(path: Path, record: type[R], rows: Iterable[R]) -> int:
    """Write rows of one record class; returns their number. The file appears only when it is complete.

    The same rows give the same bytes.
    """
    count = 0
    unfinished = path.with_suffix(".unfinished")
    with pq.ParquetWriter(unfinished, arrow_schema(record), compression="zstd") as writer:
        for group in _groups(rows):
            writer.write_table(records_to_table(record, group))
            count += len(group)
    unfinished.replace(path)
    return count


def write_table(workspace: Path, record: type[R], rows: Iterable[R]) -> int:
    """Write the table of a record class under its own file name; returns the number of rows."""
    return write_records(workspace / record.FILE, record, rows)


def read_records(path: Path, record: type[R], *, where: Sequence[tuple[str, str]] = ()) -> list[R]:
    """Rows of one record class, in file order; `where` keeps rows whose column equals a value."""
    filters = [(column, "==", str(value)) for column, value in where] or None
    rows = pq.read_table(path, filters=filters, partitioning=None).to_pylist()
    return TypeAdapter(list[record]).validate_python(rows)  # type: ignore[valid-type]


def _groups(rows: Iterable[R]) -> Iterator[list[R]]:
    iterator = iter(rows)
    while group := list(islice(iterator, ROWS_PER_GROUP)):
        yield group
