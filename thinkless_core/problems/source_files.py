"""Rows of a local .jsonl, .json or .parquet file, one at a time, each with the place it stands in."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import JsonValue

from schemas.configs.problems import LocalSource
from schemas.errors import SourceError
from thinkless_core.problems.json_rows import document_rows, line_rows
from thinkless_core.problems.row_reader import Row, RowReader

_ENDINGS = {".jsonl": line_rows, ".ndjson": line_rows, ".json": document_rows}
_FROM_TABLE = "; write it as Parquet: python -c \"import duckdb; duckdb.read_csv('{0}').write_parquet('{1}.parquet')\""
_WAYS_OUT = {
    ".csv": _FROM_TABLE,
    ".tsv": _FROM_TABLE,
    ".gz": "; unpack it (gunzip)",
    ".zip": "; unpack it (unzip)",
    ".zst": "; unpack it (unzstd)",
    ".bz2": "; unpack it (bunzip2)",
    ".xz": "; unpack it (unxz)",
}
_CONTENTS = (
    (rb"\xff\xfe|\xfe\xff|\x00|[\x01-\x7f]\x00", "is text in UTF-16 or UTF-32; save it as UTF-8"),
    (rb"\x1f\x8b", "is packed by gzip; unpack it (gunzip)"),
    (rb"PK\x03\x04", "is a zip archive; unpack it (unzip)"),
    (rb"\x28\xb5\x2f\xfd", "is packed by zstd; unpack it (unzstd)"),
    (rb"BZh", "is packed by bzip2; unpack it (bunzip2)"),
    (rb"\xfd7zXZ", "is packed by xz; unpack it (unxz)"),
    (b"PAR1", "is a Parquet file; name it .parquet"),
    (b"version https://git-lfs", "is a pointer of Git LFS and not the data; get them with git lfs pull"),
    (rb"\s*<(?i:!doctype|html|\?xml)", "is a web page or XML; download the data themselves, or write them as JSON"),
)
"""How a file begins that is not what its ending says."""
_BYTES_AT_ONCE = 16 << 20
"""Rows of a Parquet file that are in memory together, in bytes."""
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:/")


def wanted_columns(paths: Iterable[str], names: Collection[str]) -> list[str] | None:
    """Columns that hold the fields at `paths`; None (all of them) if one is missing, for the error to list."""
    wanted = {path if path in names else path.partition(".")[0] for path in paths}
    return sorted(wanted) if wanted <= set(names) else None


class FileReader(RowReader):
    """Reads a local file."""

    def __init__(self, source: LocalSource) -> None:
        super().__init__(source)
        self._path = Path(source.path)
        self._named = source.path

    def rows(self, fields: Sequence[str]) -> Iterator[Row]:
        """Every row of the file; raises SourceError, with the place, for what is no row.

        Parquet is read in pieces, and only the columns that hold `fields`, if they are there.
        """
        path, ending = self._path, self._path.suffix.lower()
        try:
            _refuse_what_is_no_file(self._named)
            _refuse_other_content(path, ending)
            yield from _parquet_rows(path, fields) if ending == ".parquet" else _ENDINGS[ending](path)
        except (OSError, ValueError, pa.ArrowException) as error:
            raise SourceError(
                f"{path}: cannot be read: {' '.join(str(error).split())}; expected text or Parquet as its ending says"
            ) from error


def absent_file(named: str) -> str:
    """What to say of a path at which nothing is."""
    if _ADDRESS.match(named):
        return (
            f"{named}: is an address, expected a file on this machine; download it (curl -LO) and give the file's "
            'path, or read a data set of the Hugging Face Hub with kind="hub" and id="owner/name"'
        )
    return f"{named}: no such file; check problems.*.path (relative to the current directory)"


def _refuse_what_is_no_file(named: str) -> None:
    """Raises SourceError for an address, a folder and what does not exist."""
    path = Path(named)
    if os.path.isdir(named):
        files = sorted(file.name for file in path.iterdir())
        holds = f"it holds {', '.join(files[:5])}{', ...' if len(files) > 5 else ''}" if files else "it is empty"
        raise SourceError(f"{path}: cannot be read: it is a folder, expected a file; {holds}; name one file")
    if not os.path.exists(named):
        raise SourceError(absent_file(named))


def _refuse_other_content(path: Path, ending: str) -> None:
    """Raises SourceError for a file of another kind, by its ending or by its first bytes."""
    if ending != ".parquet" and ending not in _ENDINGS:
        way_out = _WAYS_OUT.get(ending, "").format(path, path.with_suffix(""))
        raise SourceError(
            f"{path}: cannot read files ending in {path.suffix!r}; expected .jsonl, .json or .parquet{way_out}"
        )
    with path.open("rb") as file:
        begin = file.read(64)
    for pattern, what in _CONTENTS:
        if re.match(pattern, begin) and not (ending == ".parquet" and pattern == b"PAR1"):
            raise SourceError(f"{path}: cannot be read: it {what}; expected text or Parquet as its ending says")


def _parquet_rows(path: Path, fields: Sequence[str]) -> Iterator[Row]:
    number = 0
    # Without a buffer, all of a column of a row group is read at once, and many files have one row group.
    with pq.ParquetFile(path, buffer_size=1 << 20) as file:
        names = file.schema_arrow.names
        columns = wanted_columns(fields, names)
        twice = sorted({name for name in columns or () if names.count(name) > 1})
        if twice:
            raise SourceError(
                f"{path}: has {names.count(twice[0])} columns {twice[0]!r}, expected one; rename the others"
            )
        for batch in file.iter_batches(batch_size=_rows_at_once(file), columns=columns):
            for row in _rows_of_batch(batch, path, number):
                number += 1
                yield f"{path}, row {number}", row


def _rows_at_once(file: pq.ParquetFile) -> int:
    """Rows of a file that are in memory together: many, unless they are long."""
    groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    widest = max((group.total_byte_size / group.num_rows for group in groups if group.num_rows), default=0)
    return max(1, min(1000, int(_BYTES_AT_ONCE / max(widest, 1))))


def _rows_of_batch(batch: pa.RecordBatch, path: Path, before: int) -> list[dict[str, JsonValue]]:
    """Rows of a batch, with `before` rows before it; raises SourceError for the first that has no Python value."""
    unreadable = (ValueError, OverflowError, pa.ArrowException)  # bytes that are no text, a date out of range
    try:
        rows: list[dict[str, JsonValue]] = batch.to_pylist()
    except unreadable:
        for number in range(batch.num_rows):
            try:
                batch.slice(number, 1).to_pylist()
            except unreadable as error:
                place = f"{path}, row {before + number + 1}"
                raise SourceError(f"{place}: cannot be read: {error}; mend or drop the row") from error
        raise
    return rows
