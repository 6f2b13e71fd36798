"""Joins both teachers' generations to their problems in DuckDB, counts their faults and writes the file of pairs.

ids in problems.parquet + think, short generations.parquet -> table `paired_generations`: numbers of rows, faults
    -> counts by fault
    -> rows of the pairs                -> their texts -> pairs.parquet
    -> rows of the others, with reasons -> their texts -> dropped.parquet
DuckDB sees no text: it joins ids in any order of rows and spills to disk. Texts stream from file to file, so that
memory does not grow with their length; of each row there are ids, numbers and faults.
"""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from infra.catalog.catalog_file import explained
from infra.catalog.sql_text import sql_text
from infra.chosen_rows import chosen_rows
from infra.row_groups import write_groups
from schemas.base import Record, arrow_schema
from schemas.records.dropped import DroppedRow
from schemas.records.pairs import Pair

MEMORY_LIMIT = "1GB"
"""Of the join of ids; a million problems take a quarter of it."""

_UNLIKE = ("problem_id", "prompt", "answer", "think_completion", "short_completion", "detail")

FaultCounts = dict[tuple[str | None, str | None], int]
"""Problems by what is wrong with their think and their short side: see infra/catalog/sql/pair_faults.sql."""


class PairedGenerations:
    """One row per warm-up problem with both sides; made by `paired_generations`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, files: dict[str, Path], scratch: Path) -> None:
        self._connection = connection
        self._files = files
        self._scratch = scratch
        rows = connection.execute(sql_text("pair_faults")).fetchall()
        self.faults: FaultCounts = {(think, short): num_problems for think, short, num_problems in rows}

    def write_pairs(self, path: Path, *, dropping: Sequence[str], held_out: NDArray[np.int64]) -> int:
        """Write the pairs without a fault of `dropping`, whole or not at all; returns how many.

        `held_out` are the numbers, counted from 0 over the pairs, of those for validation. A problem that lacks a side
        has no pair. The same rows give the same bytes. Raises StoreError on a full disk.
        """
        with explained(path):
            rows = self._rows(sql_text("pairs"), dropping)
        found = [
            self._texts("problem", ["problem_id", "prompt", "answer", "difficulty"], rows),
            self._texts("think", ["completion", "num_tokens", "truncated"], rows),
            self._texts("short", ["completion", "num_tokens", "truncated"], rows),
        ]
        is_held_out = np.zeros(len(rows), bool)
        is_held_out[held_out] = True
        return _write(path, Pair, _pairs(_side_by_side(found), is_held_out))

    def write_dropped(self, path: Path, *, dropping: Sequence[str]) -> int:
        """Write one row per problem and fault of `dropping` that it has, likewise; returns how many."""
        query, columns = sql_text("dropped_pairs"), ["problem_id", "source", "prompt", "answer"]
        with explained(path):
            problems = self._texts("problem", columns, self._rows(f"select problem_row from ({query})", dropping))
            # A cursor of its own: nothing else may ask this one while rows are on their way.
            found = self._connection.cursor().sql(query, params={"dropping": list(dropping)}).to_arrow_reader()
            reasons = (pa.Table.from_batches([batch]) for batch in found)
            return _write(path, DroppedRow, _dropped(_side_by_side([problems, reasons])))

    def _rows(self, query: str, dropping: Sequence[str]) -> pa.Table:
        return self._connection.sql(query, params={"dropping": list(dropping)}).to_arrow_table()

    def _texts(self, side: str, columns: Sequence[str], rows: pa.Table) -> Iterator[pa.Table]:
        numbers = rows[f"{side}_row"].to_numpy()
        return chosen_rows(self._files[side], columns, numbers, scratch=self._scratch)


@contextmanager
def paired_generations(problems: Path, *, think: Path, short: Path, scratch: Path) -> Iterator[PairedGenerations]:
    """The warm-up problems of a problem file, with the generations of two files in any order.

    `scratch` is a directory for what does not fit in memory; it is left as it was found. Raises StoreError if the
    disk is full or the join of ids needs more than MEMORY_LIMIT.
    """
    with (
        tempfile.TemporaryDirectory(prefix="pairing-", dir=scratch) as spill,
        duckdb.connect(
            ":memory:",
            config={"memory_limit": MEMORY_LIMIT, "threads": min(4, os.cpu_count() or 1), "temp_directory": spill},
        ) as connection,
    ):
        connection.execute("set enable_progress_bar = false")
        connection.execute(f"create view problems as from {_rows_of(problems)} where split = 'sft'")
        for side, path in (("think", think), ("short", short)):
            connection.execute(f"create view {side} as from {_rows_of(path)}")
        with explained(scratch):
            connection.execute(f"create table paired_generations as {sql_text('paired_generations')}")
        yield PairedGenerations(connection, {"problem": problems, "think": think, "short": short}, scratch)


def _side_by_side(sources: Sequence[Iterator[pa.Table]]) -> Iterator[list[pa.Table]]:
    """Equally long tables, one of each source; all sources have as many rows."""
    heads: list[Any] = [next(source, None) for source in sources]
    while all(heads):
        num_rows = min(map(len, heads))
        yield [head.slice(0, num_rows) for head in heads]
        heads = [
            head.slice(num_rows) if len(head) > num_rows else next(source, None)
            for head, source in zip(heads, sources, strict=True)
        ]
    assert not any(heads), "a side has fewer rows than another"


def _pairs(rows: Iterator[list[pa.Table]], is_held_out: NDArray[np.bool_]) -> Iterator[dict[str, pa.ChunkedArray]]:
    """Rows of the three files as columns of pairs."""
    first = 0
    for problem, think, short in rows:
        columns = {name: problem[name] for name in problem.column_names}
        for side, generation in (("think", think), ("short", short)):
            columns[f"{side}_completion"] = generation["completion"]
            columns[f"{side}_tokens"] = generation["num_tokens"]
            columns[f"{side}_truncated"] = generation["truncated"]
        validation = pa.array(is_held_out[first : first + len(problem)])
        columns["split"] = pc.if_else(validation, "validation", "train")
        first += len(problem)
        yield columns


def _dropped(rows: Iterator[list[pa.Table]]) -> Iterator[dict[str, pa.ChunkedArray]]:
    """Problems and why they have no pair as columns of dropped rows."""
    for problem, why in rows:
        answer = pc.if_else(why["expects_answer"], problem["answer"], "")
        yield {
            "stage": pa.array(["pairs"] * len(why)),
            "reason": why["reason"],
            **{name: problem[name] for name in ("problem_id", "source", "prompt")},
            "detail": pc.binary_join_element_wise(why["detail"], answer, ""),
        }


def _write(path: Path, record: type[Record], parts: Iterator[dict[str, pa.ChunkedArray]]) -> int:
    """The rows of all parts as a file of these records; returns how many."""
    schema = arrow_schema(record)
    tables = (pa.table(columns).select(schema.names).cast(schema) for columns in parts)
    return write_groups(path, schema, tables, unlike=_UNLIKE)


def _rows_of(path: Path) -> str:
    """SQL: the rows of one Parquet file; brackets and stars in its path, and `name=value` folders, mean nothing."""
    quoted = "'" + glob.escape(str(path)).replace("'", "''") + "'"
    return f"read_parquet({quoted}, hive_partitioning = false, file_row_number = true)"
