"""DuckDB types of a record's columns, taken from DuckDB's reading of the record's Arrow schema."""

from __future__ import annotations

import functools

from schemas.base import Record, arrow_schema


@functools.cache
def column_types(record: type[Record]) -> dict[str, str]:
    """Column -> name of its DuckDB type, such as `VARCHAR`; columns in the order of the record."""
    import duckdb  # imported here because a run that finds everything in the store needs no DuckDB

    with duckdb.connect(":memory:") as connection:
        columns = connection.from_arrow(arrow_schema(record).empty_table())
        return dict(zip(columns.columns, map(str, columns.types), strict=True))
