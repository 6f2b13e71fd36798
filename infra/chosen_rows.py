"""Reads rows of a Parquet file by number, in any order; memory grows with neither their number nor their length.

numbers that rise  -> the file is read once, batch by batch
numbers in no order -> the file is read once as well -> runs, each sorted and written to disk -> runs read side by side
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from infra.disk import writing
from infra.row_groups import in_parts, sized_batches

_BATCH_BYTES = 1 << 20
_RUN_BYTES = 128 << 20
"""What is sorted at once; twice as much is in memory meanwhile."""
_PIECE_BYTES = 512 << 10
"""What is in memory of each run while runs are read side by side."""
_PLACE = "place"


def chosen_rows(path: Path, columns: Sequence[str], rows: NDArray[np.int64], *, scratch: Path) -> Iterator[pa.Table]:
    """Tables with these columns of the rows with these numbers, counted from 0, in the order of `rows`.

    `scratch` is a directory for what does not fit in memory; it is left as it was found. Raises StoreError if the disk
    is full.
    """
    if bool((np.diff(rows) >= 0).all()):
        found = _ascending(path, columns, rows)
    else:
        order = np.argsort(rows, kind="stable")
        found = _sorted(_ascending(path, columns, rows[order], places=order), scratch)
    for table in found:
        yield table.select(columns)


def _ascending(
    path: Path, columns: Sequence[str], rows: NDArray[np.int64], *, places: NDArray[np.int64] | None = None
) -> Iterator[pa.Table]:
    """The rows in the order of the file; `places`, one for each of them, become a column."""
    first = 0
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
        for batch in sized_batches(file, num_bytes=_BATCH_BYTES, columns=columns):
            low, high = np.searchsorted(rows, [first, first + len(batch)])
            if low < high:
                table = pa.Table.from_batches([batch]).take(pa.array(rows[low:high] - first))
                yield table if places is None else table.append_column(_PLACE, pa.array(places[low:high]))
            first += len(batch)


def _sorted(tables: Iterator[pa.Table], scratch: Path) -> Iterator[pa.Table]:
    """The same rows by place; meanwhile they are on disk, uncompressed."""
    with tempfile.TemporaryDirectory(prefix="rows-", dir=scratch) as folder:
        spill = Path(folder) / "runs.arrow"
        with writing(spill):
            runs = _write_runs(tables, spill)
        with pa.OSFile(str(spill)) as source:
            reader = pa.ipc.open_file(source)
            yield from _merged([(pa.Table.from_batches([reader.get_batch(i)]) for i in run) for run in runs])


def _write_runs(tables: Iterator[pa.Table], spill: Path) -> list[range]:
    """Writes an Arrow file of small batches; returns which of them make up a run, whose places rise."""
    first = next(tables)
    with pa.OSFile(str(spill), "wb") as sink, pa.ipc.new_file(sink, first.schema) as writer:

        def write(run: pa.Table) -> int:
            pieces = in_parts([run.sort_by(_PLACE)], most_bytes=_PIECE_BYTES)
            return sum(1 for _ in map(writer.write_table, pieces))  # a batch each: its columns are in one chunk

        # No loop, whose variable would hold a run while the next one is gathered.
        ends = accumulate(map(write, in_parts(chain([first], tables), most_bytes=_RUN_BYTES)), initial=0)
        return [range(low, high) for low, high in pairwise(ends)]


def _merged(runs: Sequence[Iterator[pa.Table]]) -> Iterator[pa.Table]:
    """The rows of all runs by place. Those up to the first end of what is in memory of a run are next."""
    heads = {number: next(run) for number, run in enumerate(runs)}
    while heads:
        end = min(head[_PLACE][-1].as_py() for head in heads.values())
        parts = []
        for number, head in list(heads.items()):
            stop = int(np.searchsorted(head[_PLACE].to_numpy(), end, side="right"))
            parts.append(head.slice(0, stop))
            if stop < len(head):
                heads[number] = head.slice(stop)
            elif (more := next(runs[number], None)) is not None:
                heads[number] = more
            else:
                del heads[number]
        yield pa.concat_tables(parts).sort_by(_PLACE)
