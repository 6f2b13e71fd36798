"""Writes records to Parquet files and reads them back, in memory that does not grow with their number or length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from infra.row_groups import write_groups
from schemas.base import Record, arrow_schema, records_to_table

R = TypeVar("R", bound=Record)
_ROWS_AT_ONCE = 200
"""Rows that are turned between records and Arrow together."""


def write_records(path: Path, record: type[R], rows: Iterable[R]) -> int:
    """Write rows of one record class; returns their number. The file appears only when it is complete.

    The same rows give the same bytes.
    """
    iterator = iter(rows)
    slabs = iter(lambda: list(islice(iterator, _ROWS_AT_ONCE)), [])
    return write_groups(path, arrow_schema(record), (records_to_table(record, slab) for slab in slabs))


def write_table(workspace: Path, record: type[R], rows: Iterable[R]) -> int:
    """Write the table of a record class under its own file name; returns the number of rows."""
    return write_records(workspace / record.FILE, record, rows)


def read_records(path: Path, record: type[R], *, where: Sequence[tuple[str, str]] = ()) -> list[R]:
    """Rows of one record class, in file order; `where` keeps rows whose column equals a value."""
    return list(iter_records(path, record, where=where))


def iter_records(path: Path, record: type[R], *, where: Sequence[tuple[str, str]] = ()) -> Iterator[R]:
    """The same rows one after the other; few of them are in memory."""
    validate = TypeAdapter(list[record]).validate_python  # type: ignore[valid-type]
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
            for column, value in where:
                batch = batch.filter(pc.equal(batch[column], str(value)))
            yield from validate(batch.to_pylist())
