"""Opens files of rows as tables of an in-memory database, each with every column of its record class.

{table: Parquet files, or logs of a stage at work} -> views over columns of the record UNION ALL BY NAME rows of files

A table without files is empty, and a column that an older file lacks is null.
"""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.catalog.catalog_tables import create_views
from infra.record_types import column_types
from schemas.base import Record, arrow_schema
from schemas.errors import MissingArtifactError

MEMORY_LIMIT = "512MB"
"""What DuckDB holds before it goes on in files, which it removes; long texts are sorted and joined in less."""


def connect(
    tables: Mapping[str, Sequence[Path]], *, schemas: Mapping[str, type[Record]], views: Sequence[str] = ()
) -> Any:
    """A DuckDB connection with one table per name of `schemas`; one thread, so that sums come out the same.

    `views` are those of the catalog that are asked for.

    Raises MissingArtifactError if a file that is named does not exist.
    """
    import duckdb

    spill = Path(tempfile.gettempdir()) / f"thinkless-report-{os.getpid()}"
    connection = duckdb.connect(config={"threads": 1, "memory_limit": MEMORY_LIMIT, "temp_directory": str(spill)})
    for name, record in schemas.items():
        connection.register(f"{name}_columns", arrow_schema(record).empty_table())
        rows = f"SELECT * FROM {name}_columns"
        for path in tables.get(name, ()):
            if not path.is_file():
                connection.close()
                raise MissingArtifactError(
                    f"report: table {name} has no file at {path}; rerun the stage that writes it"
                )
            rows += f" UNION ALL BY NAME SELECT * FROM {_reader(path, record)}"
        connection.execute(f"CREATE VIEW {name} AS SELECT *, '' AS artifact_key FROM ({rows})")
    create_views(connection, views)
    return connection


def _reader(path: Path, record: type[Record]) -> str:
    """The table function that reads one file; of a log, a last line that is half written is left out."""
    literal = "'" + glob.escape(str(path)).replace("'", "''") + "'"
    if path.suffix != ".jsonl":
        return f"read_parquet({literal})"
    columns = ", ".join(f"\"{name}\": '{duckdb_type}'" for name, duckdb_type in column_types(record).items())
    return f"read_json({literal}, format = 'newline_delimited', columns = {{{columns}}}, ignore_errors = true)"


def read_rows(connection: Any, table: str, record: type[Any], *, order: str = "") -> list[Any]:
    """All rows of a view as records, in the order asked for; a null in a column with a default takes the default."""
    columns = record.model_fields
    names = ", ".join(f'"{column}"' for column in columns)
    found = connection.execute(f"SELECT {names} FROM {table}{f' ORDER BY {order}' if order else ''}").fetchall()
    return [
        record(
            **{
                name: value
                for (name, field), value in zip(columns.items(), row, strict=True)
                if value is not None or field.is_required()
            }
        )
        for row in found
    ]
