"""The DuckDB catalog: every dataset, run, check and edge of the store, for SQL.

manifest + Parquet files -> register -> one short transaction -> catalog.duckdb
run record -> record_run;  all manifests and run records -> rebuild

It is never the only copy: a lost or damaged file, or one of another version, is rebuilt from the store. Who has it open
(a notebook) stops no run: what is written goes into a copy that takes its place, and the reader keeps what was opened.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import duckdb

from infra.catalog.catalog_file import (
    CATALOG_NAME,
    DamagedCatalogError,
    catalog_path,
    explained,
    opened,
    remove_catalog,
)
from infra.catalog.catalog_rows import (
    UNREADABLE,
    is_registered,
    leave_out,
    limit_memory,
    record_run_rows,
    register_if_readable,
    register_rows,
)
from infra.catalog.catalog_tables import create_tables
from infra.disk import sync, writing
from infra.locks import file_lock
from infra.runs import RunRecord, list_runs
from infra.store.artifact_store import ArtifactStore
from schemas.artifact import Manifest
from schemas.errors import CatalogLockedError, Transient

_log = logging.getLogger("thinkless")

Write = Callable[[duckdb.DuckDBPyConnection], None]

_KNOWN_RUNS = (
    "select run_id, status, count(used.key) from runs left join run_artifacts as used using (run_id) group by all"
)
_HELD_SECONDS = 1.0
"""How long a reader may hold the file before it is written in a copy; a query of ours takes less."""


class Catalog:
    """The catalog of one home; no connection is kept open between calls."""

    def __init__(self, home: Path, *, timeout_seconds: float) -> None:
        self.home = home
        self.path = catalog_path(home)
        self._timeout_seconds = timeout_seconds

    def register(self, manifest: Manifest, path: Path) -> None:
        """Writes a published artifact, whose files are in `path`, into the catalog; rows of the same key are replaced.

        Raises CatalogLockedError if another process holds the catalog for too long, ContractError if a
        file has columns that its table lacks.
        """
        self._write(lambda connection: register_rows(connection, manifest, path))

    def record_run(self, record: RunRecord, *, found: Iterable[tuple[Manifest, Path]] = ()) -> None:
        """Writes a run's present state into the catalog; runs whose process has died since are marked as failed.

        `found` are artifacts that the run took from the store: one that a crash between publishing and registering
        left out of the catalog is registered.
        """

        def write(connection: duckdb.DuckDBPyConnection) -> None:
            for manifest, path in found:
                if not is_registered(connection, manifest, path):
                    register_rows(connection, manifest, path)
            running = connection.execute("select run_id from runs where status = 'running'").fetchall()
            stale = {run_id for (run_id,) in running} - {record.run_id}
            ended = [run for run in (list_runs(self.home) if stale else []) if run.run_id in stale]
            for run in (*ended, record):
                record_run_rows(connection, run)

        self._write(write)

    def rebuild(self, store: ArtifactStore, runs: Iterable[RunRecord]) -> None:
        """Builds the catalog anew from manifests, Parquet files and run records, then puts it in place."""
        with self._locked():
            self._rebuild(store, runs)

    def open_or_rebuild(self) -> None:
        """Makes sure that there is a catalog of this version; if not, it is rebuilt, with a warning."""
        self._write(lambda connection: None)

    def catch_up(self) -> None:
        """Takes in what other machines have published and run in this home since. An artifact that cannot be read is
        left out with a warning.
        """
        store, runs = ArtifactStore(self.home), list_runs(self.home)
        with opened(self.path, read_only=True, timeout_seconds=self._timeout_seconds) as connection:
            new = [
                (manifest, path)
                for manifest in store.manifests()
                if not is_registered(connection, manifest, path := store.path(manifest.stage, manifest.key))
            ]
            known = connection.execute(_KNOWN_RUNS).fetchall()
        changed = [run for run in runs if (run.run_id, run.status, len(run.stages)) not in set(known)]
        for manifest, path in new:
            try:
                self.register(manifest, path)
            except UNREADABLE as error:
                leave_out(manifest, error)

        def write(connection: duckdb.DuckDBPyConnection) -> None:
            for run in changed:
                record_run_rows(connection, run)

        if changed:
            self._write(write)

    def _write(self, write: Write) -> None:
        with self._locked():
            if not self.path.exists():
                self._rebuild(ArtifactStore(self.home), list_runs(self.home))
            try:
                self._transaction(write)
            except DamagedCatalogError as damage:
                _log.warning("catalog cannot be used (%s); rebuilding it from the artifacts", damage)
                self._rebuild(ArtifactStore(self.home), list_runs(self.home))
                self._transaction(write)

    def _transaction(self, write: Write) -> None:
        try:
            _write_into(self.path, write, timeout_seconds=min(_HELD_SECONDS, self._timeout_seconds))
        except CatalogLockedError:
            _log.info("%s is open elsewhere, which keeps what it opened; the catalog goes on in a new file", self.path)
            with self._replacement() as fresh:
                shutil.copyfile(self.path, fresh)
                _write_into(fresh, write, timeout_seconds=self._timeout_seconds)

    def _rebuild(self, store: ArtifactStore, runs: Iterable[RunRecord]) -> None:
        with self._replacement() as fresh, explained(fresh):
            connection = duckdb.connect(str(fresh))
            try:
                limit_memory(connection)
                create_tables(connection)
                for manifest in store.manifests():
                    register_if_readable(connection, manifest, store.path(manifest.stage, manifest.key))
                for run in runs:
                    record_run_rows(connection, run)
            finally:
                connection.close()

    @contextmanager
    def _replacement(self) -> Iterator[Path]:
        """A path beside the catalog; what the block writes there takes the catalog's place."""
        fresh = self.path.with_name(f"{CATALOG_NAME}.new")
        remove_catalog(fresh)
        with writing(fresh):
            yield fresh
            sync(fresh)
            remove_catalog(self.path)
            fresh.replace(self.path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer of ours at a time; DuckDB's own lock only keeps out the others."""
        with ExitStack() as stack:
            try:
                lock = file_lock(
                    self.path.with_suffix(".lock"),
                    owner="a catalog writer",
                    timeout_seconds=self._timeout_seconds,
                    on_wait=_log.info,
                )
                stack.enter_context(lock)
            except Transient as error:
                raise CatalogLockedError(str(error)) from error
            yield


def _write_into(path: Path, write: Write, *, timeout_seconds: float) -> None:
    with opened(path, read_only=False, timeout_seconds=timeout_seconds) as connection:
        limit_memory(connection)
        connection.execute("begin")
        write(connection)
        connection.execute("commit")
