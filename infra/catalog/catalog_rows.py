"""Writes manifests and run records into the catalog's tables; the caller opens and closes the transaction.

manifest -> artifacts, edges, checks, drops;  its Parquet files -> data tables;  run record -> runs, run_artifacts
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from infra.catalog.catalog_tables import ensure_added_table, tables_of_artifacts
from infra.row_groups import sized_batches
from infra.runs import RunRecord
from schemas.artifact import Manifest, OutputFile
from schemas.base import Record, arrow_schema
from schemas.errors import ContractError
from schemas.tables import TABLES

_log = logging.getLogger("thinkless")
_BATCH_BYTES = 16 << 20
MEMORY_BYTES = 200 * 10**6
"""Limit of writing, beside the rows that DuckDB holds at once; the rest waits on disk. 99,000 pairs of 18 kB took
72 s with it and 71 s with five times as much, which filled 780 MB more."""
UNREADABLE = (OSError, pa.ArrowException, ContractError)
"""Errors of an artifact whose files cannot be registered."""
_ROWS_AT_ONCE = 2048
"""Of one column; a second thread would hold as many."""


def limit_memory(connection: duckdb.DuckDBPyConnection, *, row_bytes: int = 0) -> None:
    """Limit what writing takes; rows of a length that DuckDB could not hold within the usual limit are given more.

    A limit for long rows stays until the connection is closed: they are packed when the transaction is committed.
    """
    connection.execute(f"set variable row_bytes = greatest({row_bytes}, coalesce(getvariable('row_bytes'), 0))")
    ((longest,),) = connection.execute("select getvariable('row_bytes')").fetchall()
    connection.execute(f"set memory_limit = '{(MEMORY_BYTES + _ROWS_AT_ONCE * longest) // 1000}kB'")
    connection.execute("set threads = 1")


def leave_out(manifest: Manifest, error: BaseException) -> None:
    """Say that an artifact is not in the catalog, and why."""
    _log.warning("left out of the catalog: %s/%s: %s", manifest.stage, manifest.key, error)


def register_if_readable(connection: duckdb.DuckDBPyConnection, manifest: Manifest, directory: Path) -> None:
    """Register an artifact during a rebuild; a damaged one is left out with a warning: the next run replaces it."""
    connection.execute("begin")
    try:
        register_rows(connection, manifest, directory)
    except UNREADABLE as error:
        connection.execute("rollback")
        leave_out(manifest, error)
    else:
        connection.execute("commit")


def is_registered(connection: duckdb.DuckDBPyConnection, manifest: Manifest, directory: Path) -> bool:
    """Whether the catalog has this artifact, with this content and in this place."""
    return bool(
        connection.execute(
            "select 1 from artifacts where stage = ? and key = ? and digest = ? and path = ? and created_at = ?",
            [manifest.stage, manifest.key, manifest.digest, str(directory), utc_timestamp(manifest.created_at)],
        ).fetchall()
    )


def register_rows(connection: duckdb.DuckDBPyConnection, manifest: Manifest, directory: Path) -> None:
    """Replace an artifact's rows in the catalog, those of its tables included; `directory` holds its files."""
    _forget(connection, manifest.key)
    for file in manifest.files:
        if file.table is not None:
            _load(connection, manifest, directory, file)
    connection.execute(
        "insert into artifacts by name select $stage as stage, $key as key, $path as path, $digest as digest, "
        "$rows as rows, $created_at as created_at, 0 as cached_hits, $run_id as run_id, $seed as seed, "
        "$fingerprint as fingerprint, $label as label",
        {
            **manifest.model_dump(include={"stage", "key", "digest", "rows", "run_id", "seed", "fingerprint"}),
            "label": manifest.label,
            "path": str(directory),
            "created_at": utc_timestamp(manifest.created_at),
        },
    )
    for parent in manifest.inputs:
        connection.execute(
            "insert into edges values (?, ?, ?, ?, ?, ?)",
            [parent.stage, parent.key, manifest.stage, manifest.key, parent.digest, parent.kept],
        )
    for check in manifest.checks:
        connection.execute(
            "insert into checks values (?, ?, ?, ?, ?, ?)",
            [
                manifest.key,
                check.suite,
                check.expectation,
                check.success,
                check.observed,
                check.failing_rows,
            ],
        )
    for reason, rows in manifest.drops.items():
        connection.execute("insert into drops values (?, ?, ?, ?)", [manifest.key, manifest.label, reason, rows])
    _count_cached_hits(connection)


def _forget(connection: duckdb.DuckDBPyConnection, key: str) -> None:
    for table in tables_of_artifacts(connection):
        connection.execute(f"delete from {table} where artifact_key = ?", [key])
    connection.execute("delete from artifacts where key = ?", [key])
    connection.execute("delete from edges where child_key = ?", [key])


def _load(connection: duckdb.DuckDBPyConnection, manifest: Manifest, directory: Path, file: OutputFile) -> None:
    """Streams one Parquet file into its table, columns matched by name; what the file lacks is null."""
    path = directory / file.name
    assert file.table is not None
    record = TABLES.get(file.table, Record)
    with pq.ParquetFile(path, pre_buffer=False) as parquet:
        if record is Record:
            ensure_added_table(connection, file.table, parquet.schema_arrow)
        elif unknown := set(parquet.schema_arrow.names) - set(arrow_schema(record).names):
            raise ContractError(
                f"{path}: table {file.table} has no columns {sorted(unknown)}; write it from {record.__name__} records"
            )
        batches = pa.RecordBatchReader.from_batches(
            parquet.schema_arrow, sized_batches(parquet, num_bytes=_BATCH_BYTES)
        )
        limit_memory(connection, row_bytes=_longest_rows(parquet))
        connection.register("incoming_rows", batches)
        run_id, values = ("$run_id as run_id, ", {"run_id": manifest.run_id}) if record.HAS_RUN_ID else ("", {})
        connection.execute(
            f"insert into {file.table} by name select {run_id}*, $key as artifact_key from incoming_rows",
            {**values, "key": manifest.key},
        )
        connection.unregister("incoming_rows")


def _longest_rows(parquet: pq.ParquetFile) -> int:
    """Mean bytes of the rows of the group whose rows are the longest."""
    groups = (parquet.metadata.row_group(number) for number in range(parquet.num_row_groups))
    return max((group.total_byte_size // group.num_rows for group in groups if group.num_rows), default=0)


def record_run_rows(connection: duckdb.DuckDBPyConnection, record: RunRecord) -> None:
    """Replace the rows of a run and of the artifacts it used."""
    connection.execute("delete from runs where run_id = ?", [record.run_id])
    connection.execute("delete from run_artifacts where run_id = ?", [record.run_id])
    connection.execute(
        "insert into runs by name select $run_id as run_id, $profile as profile, $status as status, "
        "$started_at as started_at, $finished_at as finished_at, $error as error, $config as config, "
        "$host as host, $pid as pid, $study as study, $flow_run_id as flow_run_id",
        {
            **record.model_dump(
                include={"run_id", "profile", "status", "error", "host", "pid", "study", "flow_run_id"}
            ),
            "started_at": utc_timestamp(record.started_at),
            "finished_at": utc_timestamp(record.finished_at),
            "config": json.dumps(record.config, sort_keys=True, ensure_ascii=False),
        },
    )
    for use in record.stages:
        connection.execute(
            "insert into run_artifacts select $run_id, $stage, $key, $cached, coalesce((select label from artifacts "
            "where stage = $stage and key = $key), $stage)",
            {"run_id": record.run_id, **use.model_dump(include={"stage", "key", "cached"})},
        )
    _count_cached_hits(connection)


def _count_cached_hits(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        "update artifacts set cached_hits = (select count(*) from run_artifacts as used where used.cached "
        "and used.stage = artifacts.stage and used.key = artifacts.key)"
    )


def utc_timestamp(text: str | None) -> datetime | None:
    """A time as DuckDB's timestamp without zone, in UTC."""
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
