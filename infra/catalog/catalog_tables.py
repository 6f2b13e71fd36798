"""The tables and views of the catalog.

record classes (schemas/tables.py) -> data tables;  sql/views/*.sql -> views;  the rest is written here

A table is what its record class is, and a view is one file; no list has to be kept up. Other programs rely on the
columns: add more, never rename. What an older Parquet file lacks reads as null.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from importlib import resources

import duckdb
import pyarrow as pa

from schemas.base import arrow_schema
from schemas.errors import ContractError
from schemas.tables import TABLES

_INDEX_TABLES = """
create table catalog_info (schema_version varchar);
create table runs (
    run_id varchar, profile varchar, status varchar, started_at timestamp, finished_at timestamp,
    error varchar, config varchar, host varchar, pid bigint, study varchar, flow_run_id varchar);
create table artifacts (
    stage varchar, key varchar, path varchar, digest varchar, rows bigint, created_at timestamp,
    cached_hits bigint, run_id varchar, seed bigint, fingerprint varchar, label varchar);
create table edges (
    parent_stage varchar, parent_key varchar, child_stage varchar, child_key varchar, parent_digest varchar,
    kept boolean);
create table checks (
    artifact_key varchar, suite varchar, expectation varchar, success boolean, observed varchar,
    failing_rows varchar);
create table drops (artifact_key varchar, stage varchar, reason varchar, rows bigint);
create table run_artifacts (run_id varchar, stage varchar, key varchar, cached boolean, label varchar);
"""
"""Times are UTC. `edges.parent_digest` is what the child was given, which may since have been rebuilt;
`edges.kept`: the parent was taken (--keep) although the sources of its stage had changed.
`artifacts.run_id`, and `run_id` in data tables, is the run that BUILT the artifact; `run_artifacts` says which
runs used it. `label` tells the two teachers apart, which are both of stage `teach`: `teach-think`, `teach-short`.
"""


def views() -> dict[str, str]:
    """Name of each view -> its query: the files of infra/catalog/sql/views."""
    folder = resources.files("infra").joinpath("catalog", "sql", "views")
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    return {file.name.removesuffix(".sql"): file.read_text(encoding="utf-8") for file in files}


def index_tables() -> dict[str, tuple[str, ...]]:
    """Name of each table that is no data table -> its columns."""
    bodies = re.findall(r"create table (\w+) \((.*?)\);", _INDEX_TABLES, flags=re.DOTALL)
    return {name: tuple(column.split()[0] for column in body.split(",")) for name, body in bodies}


def schema_version() -> str:
    """A hash of all tables and views; a catalog that carries another one is rebuilt, never migrated."""
    columns = [f"{name} {record.HAS_RUN_ID} {arrow_schema(record)}" for name, record in sorted(TABLES.items())]
    return hashlib.sha256("\0".join([*columns, _INDEX_TABLES, *views().values()]).encode()).hexdigest()[:16]


def create_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """All tables, empty, and all views, in an empty database."""
    for name, record in TABLES.items():
        connection.register("record_columns", arrow_schema(record).empty_table())
        run_id = "null::varchar as run_id, " if record.HAS_RUN_ID else ""
        connection.execute(
            f"create table {name} as select {run_id}*, null::varchar as artifact_key from record_columns"
        )
        connection.unregister("record_columns")
    connection.execute(_INDEX_TABLES)
    create_views(connection, views())
    connection.execute("insert into catalog_info values (?)", [schema_version()])


def tables_of_artifacts(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Every table whose rows belong to artifacts."""
    found = connection.execute(
        "select table_name from information_schema.columns join information_schema.tables using (table_name) "
        "where column_name = 'artifact_key' and table_type = 'BASE TABLE' order by 1"
    ).fetchall()
    return [name for (name,) in found]


def ensure_added_table(connection: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema) -> None:
    """A table for rows of a stage that was added to the recipe: its columns are those of the Parquet files.

    Raises ContractError for a name that SQL needs quotes for, or that the catalog has for something else.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in (*index_tables(), *views()):
        raise ContractError(
            f"table {name!r}: expected a name of small letters, digits and _ that the catalog has not taken; "
            "set TABLE of the record class to another one"
        )
    connection.register("record_columns", schema.empty_table())
    connection.execute(
        f"create table if not exists {name} as select *, null::varchar as artifact_key from record_columns"
    )
    for column, kind, *_ in connection.execute("describe record_columns").fetchall():
        connection.execute(f'alter table {name} add column if not exists "{column}" {kind}')
    connection.unregister("record_columns")


def create_views(connection: duckdb.DuckDBPyConnection, names: Collection[str]) -> None:
    """Some of the views, over tables that are there; one may read another."""
    waiting = {name: views()[name] for name in names}
    while waiting:
        failures = {}
        for name, query in waiting.items():
            try:
                connection.execute(f"create view {name} as {query}")
            except duckdb.CatalogException as error:  # what it reads is not there yet
                failures[name] = error
        if len(failures) == len(waiting):
            raise next(iter(failures.values()))
        waiting = {name: waiting[name] for name in failures}
