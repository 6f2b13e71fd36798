"""A query's result for people and programs: Arrow table -> aligned text | JSON | CSV | Parquet."""

from __future__ import annotations

import csv
import io
import json
import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal, get_args

import pyarrow as pa

from schemas.errors import ConfigError, nearest

Format = Literal["table", "json", "csv", "parquet"]

_MAX_CELL = 60
"""Characters of a cell in format `table` if long ones are cut."""


def format_table(table: pa.Table, fmt: Format, *, cut: bool = True) -> str | bytes:
    """The rows in one format: text without a final line break, or the bytes of a file for `parquet`.

    `table` is aligned text with the number of rows, cells over 60 characters cut unless `cut` is false; `json` is a
    list of objects, with null for NaN; `csv` has a header and empty cells for null. Raises ConfigError for another
    format.
    """
    if fmt == "table":
        return _aligned(table, cut=cut)
    if fmt == "json":
        return json.dumps(_rows(table), ensure_ascii=False, indent=1)
    if fmt == "csv":
        return _csv(table)
    if fmt == "parquet":
        return _parquet(table)
    raise ConfigError(f"no format {fmt!r}; {nearest(fmt, get_args(Format))}")


def _rows(table: pa.Table) -> list[dict[str, object]]:
    return [{name: _plain(value) for name, value in row.items()} for row in table.to_pylist()]


def _plain(value: object) -> object:
    """A value as JSON knows it: sums are numbers, not decimals; times are ISO 8601."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, pa.MonthDayNano):
        return _interval(value)
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


def _interval(value: pa.MonthDayNano) -> str:
    """A difference of times, such as `finished_at - started_at`: `2 days, 0:03:12`, after months if there are any."""
    text = str(timedelta(days=value.days, microseconds=value.nanoseconds // 1000))
    return f"{value.months} months, {text}" if value.months else text


def _csv(table: pa.Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    writer.writerows([_cell(value) for value in row.values()] for row in _rows(table))
    return text.getvalue().removesuffix("\n")


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _parquet(table: pa.Table) -> bytes:
    import pyarrow.parquet as pq  # slow to import, and only needed here

    for index, field in enumerate(table.schema):
        if field.type == pa.month_day_nano_interval():  # Parquet has no such type
            texts = pa.array([_plain(value) for value in table.column(index).to_pylist()], pa.string())
            table = table.set_column(index, field.name, texts)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


def _aligned(table: pa.Table, *, cut: bool) -> str:
    """Names, a rule, rows; numbers to the right; `(n rows)` below."""
    texts = [[_one_line(value, cut=cut) for value in row.values()] for row in _rows(table)]
    names = list(table.column_names)
    widths = [max(map(len, column)) for column in zip(names, *texts, strict=True)]
    to_right = [_is_number(field.type) for field in table.schema]

    def line(cells: list[str]) -> str:
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, to_right, strict=True)
        )
        return "  ".join(padded).rstrip()

    footer = f"({table.num_rows} row{'' if table.num_rows == 1 else 's'})"
    return "\n".join([line(names), line(["-" * width for width in widths]), *map(line, texts), footer])


def _one_line(value: object, *, cut: bool) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else _cell(value)
    text = text.replace("\r", "").replace("\n", "\\n").replace("\t", " ")
    return text if not cut or len(text) <= _MAX_CELL else text[: _MAX_CELL - 3] + "..."


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
