"""Runs a user's SQL: one reading statement, on a catalog that is opened read-only and without access to files.

SQL -> one SELECT-like statement -> read-only connection without external access -> Arrow table
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa

from infra.catalog.catalog import Catalog
from infra.catalog.catalog_file import DamagedCatalogError, catalog_path, first_line, opened
from infra.catalog.table_format import format_table
from infra.store.shared_home import is_shared
from schemas.errors import MissingArtifactError, QueryError

__all__ = ["format_table", "run_query"]

_log = logging.getLogger("thinkless")

_SEALED = {"enable_external_access": "false", "lock_configuration": "true"}
"""No file but the catalog can be read or written, and no statement can lift that."""

_READING = ("SELECT", "EXPLAIN", "MULTI")
"""Kinds of statement that are allowed; PIVOT parses as MULTI."""

_MAX_QUOTED = 80
"""Characters of SQL quoted in an error."""


def run_query(
    home: Path, sql: str, *, timeout_seconds: float, parameters: Mapping[str, object] | None = None
) -> pa.Table:
    """The result of one reading statement; `parameters` fill its `$name` places.

    Waits for a writer, rebuilds a damaged catalog. Raises QueryError for SQL that writes, does not parse or names
    something unknown, MissingArtifactError before the first run, CatalogLockedError if a writer takes too long.
    """
    _refuse_unless_reading(sql)
    path = catalog_path(home)
    if not path.exists():
        _make_catalog(home, timeout_seconds=timeout_seconds)
    try:
        if is_shared(home):
            Catalog(home, timeout_seconds=timeout_seconds).catch_up()
        return _execute(path, sql, timeout_seconds=timeout_seconds, parameters=parameters or {})
    except DamagedCatalogError as damage:
        _log.warning("catalog cannot be read (%s)", damage)
    Catalog(home, timeout_seconds=timeout_seconds).open_or_rebuild()
    return _execute(path, sql, timeout_seconds=timeout_seconds, parameters=parameters or {})


def _refuse_unless_reading(sql: str) -> None:
    try:
        with duckdb.connect(":memory:") as parser:
            kinds = [statement.type.name for statement in parser.extract_statements(sql)]
    except duckdb.Error as error:
        raise QueryError(f"the SQL does not parse: {error}") from error
    if len(kinds) != 1:
        raise QueryError(f"got {len(kinds)} SQL statements, expected exactly one: {_cut(sql)!r}; run each alone")
    if kinds[0] not in _READING:
        raise _writing_refused(kinds[0], sql)


def _writing_refused(kind: str, sql: str) -> QueryError:
    return QueryError(
        f"{kind} is refused: {_cut(sql)!r} does more than read, and the catalog is read-only; expected a SELECT "
        "(or WITH, FROM, VALUES, DESCRIBE, SHOW TABLES, SUMMARIZE, PIVOT, EXPLAIN); results go to a file with "
        "--format csv or parquet"
    )


def _execute(path: Path, sql: str, *, timeout_seconds: float, parameters: Mapping[str, object]) -> pa.Table:
    try:
        with opened(
            path, read_only=True, timeout_seconds=timeout_seconds, on_wait=_log.warning, settings=_SEALED
        ) as connection:
            try:
                relation = connection.sql(sql, params=dict(parameters) or None)
                return _with_unique_names(relation.to_arrow_table())
            except duckdb.ProgrammingError:
                # `execute` reports the line and column of the mistake, which `sql` does not.
                connection.execute(sql, dict(parameters) or None)
                raise
    except duckdb.InvalidInputException as error:
        if "read-only mode" not in str(error):
            raise QueryError(f"the query failed: {error}") from error
        raise _writing_refused("a statement that writes", sql) from error
    except duckdb.PermissionException as error:
        raise QueryError(
            f"files outside the catalog are out of reach here: {first_line(error)}; expected a query over the "
            "catalog's own tables: SHOW TABLES lists them"
        ) from error
    except duckdb.Error as error:
        raise QueryError(f"the query failed: {error}") from error


def _make_catalog(home: Path, *, timeout_seconds: float) -> None:
    """Rebuilds a lost catalog; raises MissingArtifactError if nothing was ever run."""
    if not any(home.glob("artifacts/*/*/manifest.json")) and not any(home.glob("runs/*.json")):
        raise MissingArtifactError(
            f"no run yet in {home}; expected a home with at least one: try `thinkless run --profile tiny`, or set "
            "THINKLESS_HOME to where the runs are"
        )
    _log.warning("there is no catalog in %s; rebuilding it from the artifacts", home)
    Catalog(home, timeout_seconds=timeout_seconds).open_or_rebuild()


def _with_unique_names(table: pa.Table) -> pa.Table:
    """`select a, a` gives two columns of one name, of which JSON would lose one."""
    names: list[str] = []
    for name in table.column_names:
        unique, number = name, 1
        while unique in names:
            unique, number = f"{name}_{number}", number + 1
        names.append(unique)
    return table.rename_columns(names)


def _cut(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= _MAX_QUOTED else one_line[: _MAX_QUOTED - 3] + "..."
