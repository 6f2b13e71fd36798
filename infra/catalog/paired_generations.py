"""Joins both teachers' generations to their problems in DuckDB, counts their faults and writes the file of pairs.

problems.parquet + think, short generations.parquet -> view `paired_generations` -> counts by fault
                                                                                 -> pairs.parquet, dropped.parquet
Rows stream from file to file, so that memory does not grow with the number of problems. Only where generations are not
in the order of the problems are they sorted first, which spills to disk.
"""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infra.catalog.catalog_file import explained
from infra.catalog.sql_text import sql_text

SIDES = ("think", "short")
MEMORY_LIMIT = "512MB"
"""Of sorting; streaming takes a tenth of it."""
_PARQUET = "format parquet, compression zstd, compression_level 1, row_group_size 20480"
"""A higher level takes twice the time for files of about the same size."""
_MISSING = "missing"

FaultCounts = dict[tuple[str | None, str | None], int]
"""Problems by what is wrong with their think and their short side: see infra/catalog/sql/pair_faults.sql."""


class PairedGenerations:
    """One row per warm-up problem with both sides; made by `paired_generations`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, faults: FaultCounts) -> None:
        self._connection = connection
        self.faults = faults

    def write_pairs(self, path: Path, *, dropping: Sequence[str], held_out: NDArray[np.int64]) -> int:
        """Write the pairs without a fault of `dropping`, whole or not at all; returns how many.

        `held_out` are the numbers, counted from 0 over the pairs, of those for validation. The same rows give the
        same bytes.
        """
        self._connection.register("held_out", pa.table({"number": pa.array(held_out, pa.int64())}))
        return self._write("pairs", path, dropping)

    def write_dropped(self, path: Path, *, dropping: Sequence[str]) -> int:
        """Write one row per problem and fault of `dropping` that it has, likewise; returns how many."""
        return self._write("dropped_pairs", path, dropping)

    def _write(self, query: str, path: Path, dropping: Sequence[str]) -> int:
        unfinished = path.with_suffix(".unfinished")
        num_rows = _copy(self._connection, query, unfinished, {"dropping": list(dropping)})
        unfinished.replace(path)
        return num_rows


@contextmanager
def paired_generations(problems: Path, *, think: Path, short: Path, scratch: Path) -> Iterator[PairedGenerations]:
    """The warm-up problems of a problem file, with the generations of two files in any order.

    `scratch` is a directory for what does not fit in memory; it is left as it was found.
    """
    with (
        tempfile.TemporaryDirectory(prefix="pairing-", dir=scratch) as spill,
        # One thread, because side by side is a sequence: a second one would only take memory.
        duckdb.connect(
            ":memory:", config={"memory_limit": MEMORY_LIMIT, "threads": 1, "temp_directory": spill}
        ) as connection,
    ):
        connection.execute("set enable_progress_bar = false")
        connection.execute(f"create view problems as from {_rows_of(problems)} where split = 'sft'")
        for side, path in zip(SIDES, (think, short), strict=True):
            connection.execute(f"create view {side} as from {_rows_of(path)}")
        connection.execute(f"create view paired_generations as {sql_text('paired_generations')}")
        faults = _count_faults(connection)
        if any(_MISSING in both for both in faults):
            connection.execute(f"set threads = {os.cpu_count() or 1}")  # a sort is no sequence
            for side, path in zip(SIDES, (think, short), strict=True):
                _align(connection, side, path, aligned=Path(spill) / f"{side}.parquet")
            connection.execute("set threads = 1")
            faults = _count_faults(connection)
        yield PairedGenerations(connection, faults)


def _count_faults(connection: duckdb.DuckDBPyConnection) -> FaultCounts:
    rows = connection.execute(sql_text("pair_faults")).fetchall()
    return {(think, short): num_problems for think, short, num_problems in rows}


def _align(connection: duckdb.DuckDBPyConnection, side: str, path: Path, *, aligned: Path) -> None:
    """Replaces a side by a copy in the order of the problems."""
    connection.execute(f"create or replace view unaligned as from {_rows_of(path, 'file_row_number = true')}")
    _copy(connection, "aligned_generations", aligned)
    connection.execute(f"create or replace view {side} as from {_rows_of(aligned)}")


def _copy(
    connection: duckdb.DuckDBPyConnection, query: str, path: Path, parameters: dict[str, list[str]] | None = None
) -> int:
    """Streams the rows of one query of infra/catalog/sql into a Parquet file; returns how many. StoreError on a full
    disk."""
    with explained(path):
        statement = f"copy ({sql_text(query)}) to {_quoted(str(path))} ({_PARQUET})"
        ((num_rows,),) = connection.execute(statement, parameters).fetchall()
    return int(num_rows)


def _rows_of(path: Path, *options: str) -> str:
    """SQL: the rows of one Parquet file; brackets and stars in its path, and `name=value` folders, mean nothing."""
    return f"read_parquet({', '.join([_quoted(glob.escape(str(path))), 'hive_partitioning = false', *options])})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
