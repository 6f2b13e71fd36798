"""Writes tables to Parquet files in row groups of bounded bytes, and reads them in batches of bounded bytes.

tables of any size -> the same rows in parts of at most so many rows and bytes -> a row group each (written in a thread
    while the next part is made) -> batches
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from infra.disk import sync, writing

ROWS_PER_GROUP = 20_000
BYTES_PER_GROUP = 64 << 20
"""A row group ends at whichever comes first; a reader holds one group at a time."""
_LARGE_BYTES = 6 << 20
"""A larger group is written before the next one is made, so that memory holds one of these."""
_PROBED_ROWS = 64
"""Rows that are read first, to see how long rows are: metadata count a text that is repeated once."""


def write_groups(path: Path, schema: pa.Schema, tables: Iterable[pa.Table], *, unlike: Collection[str] = ()) -> int:
    """Write tables of one schema to a Parquet file; returns the number of rows. The file appears only if complete.

    `unlike` are columns whose values rarely repeat: a dictionary of them would take time and room. The same rows give
    the same bytes, whatever tables they come in. Raises StoreError on a full disk.
    """
    unfinished = path.with_suffix(".unfinished")
    repeated = [name for name in schema.names if name not in unlike]
    with (
        writing(path),
        pq.ParquetWriter(unfinished, schema, compression="zstd", use_dictionary=repeated) as writer,
    ):

        def write(group: pa.Table) -> int:
            writer.write_table(group, row_group_size=len(group))
            return len(group)

        count = sum(_one_behind(write, in_parts(tables, most_bytes=BYTES_PER_GROUP, most_rows=ROWS_PER_GROUP)))
    sync(unfinished)
    unfinished.replace(path)
    return count


def in_parts(tables: Iterable[pa.Table], *, most_bytes: int, most_rows: int | None = None) -> Iterator[pa.Table]:
    """The same rows in the same order; a part ends with the row that reaches either bound. No part is empty."""
    parts: list[pa.Table] = []
    num_rows = num_bytes = 0
    for table in tables:
        ends = np.cumsum(_row_bytes(table))
        start = before = 0
        while start < len(table):
            stop = min(int(np.searchsorted(ends, before + most_bytes - num_bytes)) + 1, len(table))
            if most_rows is not None:
                stop = min(stop, start + most_rows - num_rows)
            parts.append(table.slice(start, stop - start))
            num_rows, num_bytes = num_rows + stop - start, num_bytes + int(ends[stop - 1]) - before
            start, before = stop, int(ends[stop - 1])
            if num_bytes >= most_bytes or num_rows == most_rows:
                num_rows = num_bytes = 0
                yield _joined(parts)
    if parts:
        yield _joined(parts)


def sized_batches(
    file: pq.ParquetFile, *, num_bytes: int, num_rows: int | None = None, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """All rows in batches of about so many bytes, and of at most so many rows; how long the rows of a row group are is
    taken from the group before.
    """
    names = file.schema_arrow.names if columns is None else list(columns)
    probe = next(file.iter_batches(_PROBED_ROWS, columns=names, use_threads=False), None)
    seen_rows, seen_bytes = (len(probe), probe.nbytes) if probe is not None else (0, 0)
    for group in range(file.num_row_groups):
        at_once = max(1, min(num_bytes * seen_rows // max(seen_bytes, 1), num_rows or file.metadata.num_rows))
        seen_rows = seen_bytes = 0
        for batch in file.iter_batches(at_once, row_groups=[group], columns=names, use_threads=False):
            yield batch
            seen_rows, seen_bytes = seen_rows + len(batch), seen_bytes + batch.nbytes


def _one_behind(work: Callable[[pa.Table], int], tables: Iterator[pa.Table]) -> Iterator[int]:
    """What `work` returns for each table in turn, in a thread that works on a small table while the next is made."""
    with ThreadPoolExecutor(1) as thread:
        behind: Future[int] | None = None
        for table in tables:
            if behind is not None:
                yield behind.result()
                behind = None
            if table.nbytes > _LARGE_BYTES:
                yield work(table)
            else:
                behind = thread.submit(work, table)
        if behind is not None:
            yield behind.result()


def _joined(parts: list[pa.Table]) -> pa.Table:
    """One table with one chunk per column; the list is emptied, because one copy of the rows is enough."""
    joined = pa.concat_tables(parts).combine_chunks()
    parts.clear()
    return joined


def _row_bytes(table: pa.Table) -> NDArray[np.int64]:
    """Bytes of each row's texts, and eight for each of its columns."""
    sizes = np.full(len(table), 8 * table.num_columns, np.int64)
    for column in table.columns:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            sizes += pc.fill_null(pc.binary_length(column), 0).to_numpy()
    return sizes
