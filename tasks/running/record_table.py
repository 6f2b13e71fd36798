"""Rows of a Parquet file in memory as Arrow, a small part of what records need: each is made when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar, overload

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from schemas.base import Record

R = TypeVar("R", bound=Record)
_ROWS_READ, _RECORDS_AT_ONCE = 10_000, 200


class RecordTable(Sequence[R], Generic[R]):
    """A sequence of records; a slice is another one over the same memory."""

    def __init__(self, record: type[R], table: pa.Table) -> None:
        self._record, self._table = record, table

    @classmethod
    def read(cls, path: Path, record: type[R], *, where: tuple[str, str]) -> RecordTable[R]:
        """Rows of a file in which a column has a value, in file order."""
        column, value = where
        with pq.ParquetFile(path) as file:
            batches = [
                batch.filter(pc.equal(batch[column], str(value))) for batch in file.iter_batches(batch_size=_ROWS_READ)
            ]
            return cls(record, pa.Table.from_batches(batches, schema=file.schema_arrow))

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __iter__(self) -> Iterator[R]:
        validate = TypeAdapter(list[self._record]).validate_python  # type: ignore[name-defined]
        for batch in self._table.to_batches(max_chunksize=_RECORDS_AT_ONCE):
            yield from validate(batch.to_pylist())

    @overload
    def __getitem__(self, index: int) -> R: ...

    @overload
    def __getitem__(self, index: slice) -> RecordTable[R]: ...

    def __getitem__(self, index: int | slice) -> R | RecordTable[R]:
        places = range(len(self))[index]
        if isinstance(places, range):
            assert places.step == 1, "rows side by side"
            return RecordTable(self._record, self._table.slice(places.start, len(places)))
        (row,) = self._table.slice(places, 1).to_pylist()
        return self._record.model_validate(row)
