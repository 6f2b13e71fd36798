"""The base class of all records, and the Arrow schema of a record class.

pydantic record class -> Arrow schema -> Parquet file -> DuckDB table: one definition, four places.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable
from enum import StrEnum
from typing import ClassVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen row: unknown fields are refused, values never change after construction.

    A column that is added to a table is `X | None = None`: it reads as null from files of earlier versions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=())

    TABLE: ClassVar[str] = ""
    """Name of the table of these rows, in SQL and in manifests; empty if they have none."""
    FILE: ClassVar[str] = ""
    """Name of its Parquet file in an artifact."""
    HAS_RUN_ID: ClassVar[bool] = False
    """True: rows in the catalog have the id of the run that built their artifact."""


_ARROW_TYPES: dict[type, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
}


def _arrow_type(annotation: object) -> tuple[pa.DataType, bool]:
    """Arrow type of a field annotation and whether it may be null."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        members = [m for m in typing.get_args(annotation) if m is not type(None)]
        assert len(members) == 1, f"only `X | None` unions have an Arrow type, got {annotation}"
        return _arrow_type(members[0])[0], True
    if typing.get_origin(annotation) is typing.Literal:
        return pa.string(), False
    assert isinstance(annotation, type), f"no Arrow type for {annotation}"
    if issubclass(annotation, StrEnum):
        return pa.string(), False
    return _ARROW_TYPES[annotation], False


def arrow_schema(record: type[Record]) -> pa.Schema:
    """The Arrow schema of a record class, fields in the order of definition.

    Every column is nullable on disk: validation finds an unexpected null and names the row, which a writer cannot.
    """
    return pa.schema([pa.field(name, _arrow_type(f.annotation)[0]) for name, f in record.model_fields.items()])


def records_to_table(record: type[Record], rows: Iterable[Record]) -> pa.Table:
    """Rows of one record class as an Arrow table with that class's schema."""
    return pa.Table.from_pylist([row.model_dump(mode="json") for row in rows], schema=arrow_schema(record))


def tables_of(*records: type[Record]) -> dict[str, str]:
    """Name of the file -> name of the table, for a stage that writes these tables."""
    return {record.FILE: record.TABLE for record in records}
