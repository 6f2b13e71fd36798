"""Writes records to Parquet files and reads them back, in memory that does not grow with their number or length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from infra.row_groups import sized_batches, write_groups
from schemas.base import Record, arrow_schema, records_to_table

R = TypeVar("R", bound=Record)
ROWS_AT_ONCE, _BYTES_AT_ONCE = 200, 16 << 20
"""What is turned between records and Arrow together, at most."""


def write_records(path: Path, record: type[R], rows: Iterable[R]) -> int:
    """Write rows of one record class; returns their number. The file appears only when it is complete.

    The same rows give the same bytes.
    """
    iterator = iter(rows)
    slabs = iter(lambda: list(islice(iterator, ROWS_AT_ONCE)), [])
    return write_groups(path, arrow_schema(record), (records_to_table(record, slab) for slab in slabs))


def join_records(path: Path, record: type[R], files: Iterable[Path]) -> int:
    """Write the rows of several files to one, without columns that are not of the class; returns their number.

    The bytes are those that `write_records` makes of the same rows.
    """
    schema = arrow_schema(record)
    batches = (batch for file in files for batch in record_batches(file, schema.names))
    return write_groups(path, schema, (pa.Table.from_batches([batch]) for batch in batches))


def write_table(workspace: Path, record: type[R], rows: Iterable[R]) -> int:
    """Write the table of a record class under its own file name; returns the number of rows."""
    return write_records(workspace / record.FILE, record, rows)


def read_records(path: Path, record: type[R], *, where: Sequence[tuple[str, str]] = ()) -> list[R]:
    """Rows of one record class, in file order; `where` keeps rows whose column equals a value."""
    return list(iter_records(path, record, where=where))


def iter_records(path: Path, record: type[R], *, where: Sequence[tuple[str, str]] = ()) -> Iterator[R]:
    """The same rows one after the other; few of them are in memory."""
    return records_of(record_batches(path, where=where), record)


def records_of(batches: Iterable[pa.RecordBatch], record: type[R]) -> Iterator[R]:
    """The rows of batches as records, of which one batch's are made at a time."""
    validate = TypeAdapter(list[record]).validate_python  # type: ignore[valid-type]
    for batch in batches:
        yield from validate(batch.to_pylist())


def num_records(path: Path) -> int:
    """The number of rows, without reading them."""
    return int(pq.read_metadata(path).num_rows)


def iter_columns(path: Path, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """The values of some columns, row after row; no other column is read."""
    for batch in record_batches(path, columns):
        yield from zip(*(batch[column].to_pylist() for column in columns), strict=True)


def record_batches(
    path: Path, columns: Sequence[str] | None = None, *, where: Sequence[tuple[str, str]] = ()
) -> Iterator[pa.RecordBatch]:
    """The same rows as Arrow, so many at a time as are good to turn into records."""
    with pq.ParquetFile(path) as file:
        for batch in sized_batches(file, num_bytes=_BYTES_AT_ONCE, num_rows=ROWS_AT_ONCE, columns=columns):
            for column, value in where:
                batch = batch.filter(pc.equal(batch[column], str(value)))
            yield batch
