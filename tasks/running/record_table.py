"""Rows of a Parquet file in memory as Arrow, a small part of what records need: each is made when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.base import Record
from tasks.running.parquet_files import ROWS_AT_ONCE, record_batches, records_of
from thinkless_core.rows import Rows

R = TypeVar("R", bound=Record)


class RecordTable(Rows[R]):
    """A sequence of records."""

    def __init__(self, record: type[R], table: pa.Table) -> None:
        self._record, self._table = record, table

    @classmethod
    def read(cls, path: Path, record: type[R], *, where: tuple[str, str]) -> RecordTable[R]:
        """Rows of a file in which a column has a value, in file order."""
        batches = record_batches(path, where=[where])
        return cls(record, pa.Table.from_batches(batches, schema=pq.read_schema(path)).combine_chunks())

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __iter__(self) -> Iterator[R]:
        return records_of(self._table.to_batches(max_chunksize=ROWS_AT_ONCE), self._record)

    def row(self, place: int) -> R:
        """See Rows."""
        (found,) = self._table.slice(place, 1).to_pylist()
        return self._record.model_validate(found)
