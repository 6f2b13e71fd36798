"""Rows of a local .jsonl, .json or .parquet file, one at a time, each with the place it stands in."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import JsonValue

from schemas.configs.problems import LocalSource
from schemas.errors import SourceError
from thinkless_core.problems.row_reader import Row, RowReader


def wanted_columns(paths: Iterable[str], names: Collection[str]) -> list[str] | None:
    """Columns that hold the fields at `paths`; None (all of them) if one is missing, for the error to list."""
    wanted = {path if path in names else path.partition(".")[0] for path in paths}
    return sorted(wanted) if wanted <= set(names) else None


class FileReader(RowReader):
    """Reads a local file."""

    def __init__(self, source: LocalSource) -> None:
        super().__init__(source)
        self._path = Path(source.path)

    def rows(self, fields: Sequence[str]) -> Iterator[Row]:
        """Every row of the file; raises SourceError, with the place, for what is no row.

        Parquet is read in pieces, and only the columns that hold `fields`, if they are there.
        """
        path = self._path
        try:
            if path.suffix == ".parquet":
                yield from _parquet_rows(path, fields)
            elif path.suffix == ".json":
                yield from _json_rows(path)
            elif path.suffix == ".jsonl":
                yield from _jsonl_rows(path)
            else:
                raise SourceError(
                    f"{path}: cannot read files ending in {path.suffix!r}; expected .jsonl, .json or .parquet"
                )
        except FileNotFoundError as error:
            raise SourceError(
                f"{path}: no such file; check problems.*.path (relative to the current directory)"
            ) from error
        except (OSError, UnicodeDecodeError, pa.ArrowInvalid) as error:
            raise SourceError(
                f"{path}: cannot be read: {error}; expected text or Parquet as its ending says"
            ) from error


def _parquet_rows(path: Path, fields: Sequence[str]) -> Iterator[Row]:
    number = 0
    with pq.ParquetFile(path) as file:
        columns = wanted_columns(fields, file.schema_arrow.names)
        for batch in file.iter_batches(batch_size=1000, columns=columns):
            for row in batch.to_pylist():
                number += 1
                yield f"{path}, row {number}", row


def _jsonl_rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise SourceError(f"{where}: not JSON: {error}; expected one object per line") from error
            yield where, _as_object(row, where)


def _json_rows(path: Path) -> Iterator[Row]:
    text = path.read_text(encoding="utf-8")
    if not text.strip():
        return
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise SourceError(f"{path}, line {error.lineno}: not JSON: {error.msg}; expected a list of objects") from error
    if not isinstance(rows, list):
        raise SourceError(f"{path}: holds a {type(rows).__name__}, expected a list of objects")
    for number, row in enumerate(rows, start=1):
        yield f"{path}, item {number}", _as_object(row, f"{path}, item {number}")


def _as_object(row: JsonValue, where: str) -> Mapping[str, JsonValue]:
    if not isinstance(row, dict):
        raise SourceError(f"{where}: holds {row!r:.60}, expected an object with named columns")
    return row
