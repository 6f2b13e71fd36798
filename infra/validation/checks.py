"""Checks and suites as plain data; the gate turns them into Great Expectations.

A check is one expectation with a readable name. It also says, as a SQL condition, which rows it is about
when it fails: `where`, with `{batch}` for the table. That one condition is the whole rule for a check written
in SQL (the engine's own regular expressions do not know DuckDB); for the others it names the failing rows.
A rule in SQL contains no text from outside: the engine would read its colons and braces as parameters.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from infra.record_types import column_types
from schemas.base import Record


@dataclass(frozen=True)
class Check:
    """One expectation of a suite."""

    name: str
    """Unique in its suite, and a sentence: `completion_is_not_empty`."""
    expectation: str
    """Class name in `great_expectations.expectations`."""
    where: str | None
    """SQL condition, true for the rows this check is about when it fails; None if it is about no row."""
    kwargs: Mapping[str, object] = field(default_factory=dict)
    """Arguments of the expectation; a SQL rule has none, its query is made from `where`."""
    detail: str | None = None
    """SQL query with one text column that says more about a failure than the rows do."""


@dataclass(frozen=True)
class Suite:
    """Everything that must be true of one table before it is published."""

    name: str
    id_column: str
    checks: tuple[Check, ...]

    def __post_init__(self) -> None:
        names = [check.name for check in self.checks]
        assert len(names) == len(set(names)), f"suite {self.name}: names of checks repeat: {sorted(names)}"


def holds(name: str, condition: str) -> Check:
    """A condition that must be true in every row; a row in which it is null fails."""
    return Check(name, "UnexpectedRowsExpectation", f"({condition}) is not true")


def never(name: str, where: str, *, detail: str | None = None) -> Check:
    """A condition that must be true in no row."""
    return Check(name, "UnexpectedRowsExpectation", where, detail=detail)


def not_blank(column: str) -> Check:
    """Text with at least one visible character; nulls are left to another check."""
    return holds(f"{column}_is_not_blank", f"{column} is null or {visible(column)}")


def visible(text: str) -> str:
    """SQL: the text has a character that is neither white space (of any script) nor a control character."""
    return rf"regexp_matches({text}, '[^\s\pZ\pC]')"


def in_set(column: str, values: Iterable[str]) -> Check:
    """Every value is one of `values`; nulls are left to another check."""
    known = [str(value) for value in values]
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in known)
    return Check(
        f"{column}_is_known",
        "ExpectColumnValuesToBeInSet",
        f"{column} not in ({quoted})",
        {"column": column, "value_set": known},
    )


def has_every(column: str, values: Iterable[str]) -> Check:
    """Each of `values` is in at least one row."""
    return Check(
        f"every_{column}_has_rows",
        "ExpectColumnDistinctValuesToContainSet",
        None,
        {"column": column, "value_set": [str(value) for value in values]},
    )


def between(name: str, column: str, low: float, high: float | None = None) -> Check:
    """Every value lies in [low, high]; DuckDB orders NaN above every number, so `high` refuses it too."""
    above = "" if high is None else f" or {column} > {high}"
    bounds: dict[str, object] = {"min_value": low} if high is None else {"min_value": low, "max_value": high}
    return Check(name, "ExpectColumnValuesToBeBetween", f"{column} < {low}{above}", {"column": column, **bounds})


def unique(column: str) -> Check:
    """No value is in two rows."""
    repeated = f"select {column} from {{batch}} group by {column} having count(*) > 1"
    return Check(f"{column}_is_unique", "ExpectColumnValuesToBeUnique", f"{column} in ({repeated})", {"column": column})


def unique_together(name: str, *columns: str) -> Check:
    """No combination of values is in two rows."""
    key = ", ".join(columns)
    repeated = f"select {key} from {{batch}} group by {key} having count(*) > 1"
    return Check(
        name,
        "ExpectCompoundColumnsToBeUnique",
        f"({key}) in ({repeated})",
        {"column_list": list(columns)},
    )


def shape(record: type[Record], *, id_column: str, num_rows: int | None = None) -> tuple[Check, ...]:
    """What every table must be: not empty, its record's columns and types, no null in a required column."""
    expected = column_types(record)
    right_types = [f"typeof({name}) = '{duckdb_type}'" for name, duckdb_type in expected.items()]
    found_types = [f"'{name} ' || typeof({name})" for name in expected]
    counted: tuple[Check, ...] = ()
    if num_rows is not None:
        counted = (Check("row_count_is_the_asked_one", "ExpectTableRowCountToEqual", None, kwargs={"value": num_rows}),)
    return (
        Check("table_is_not_empty", "ExpectTableRowCountToBeBetween", None, {"min_value": 1}),
        *counted,
        Check("columns_match_the_record", "ExpectTableColumnsToMatchSet", None, {"column_set": list(expected)}),
        never(
            "column_types_match_the_record",
            f"({' and '.join(right_types)}) is not true",
            detail=f"select concat_ws(', ', {', '.join(found_types)}) from {{batch}} limit 1",
        ),
        *(
            Check(f"{name}_is_not_null", "ExpectColumnValuesToNotBeNull", f"{name} is null", {"column": name})
            for name in required_columns(record)
        ),
        unique(id_column),
    )


def required_columns(record: type[Record]) -> tuple[str, ...]:
    """Columns of a record class that may not be null."""
    return tuple(
        name
        for name, info in record.model_fields.items()
        if not (isinstance(info.annotation, types.UnionType) and types.NoneType in typing.get_args(info.annotation))
    )
