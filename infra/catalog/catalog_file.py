"""Opens catalog.duckdb: waits while another process holds it, and recognises a damaged file.

path -> connection, after waiting for a holder;  DuckDB's message -> busy | damaged | an ordinary error
"""

from __future__ import annotations

import errno
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from infra.catalog.catalog_tables import schema_version
from infra.disk import store_error
from infra.store.shared_home import local_files
from schemas.errors import CatalogLockedError, StoreError

CATALOG_NAME = "catalog.duckdb"


def catalog_path(home: Path) -> Path:
    """This machine's catalog of a home."""
    return local_files(home) / CATALOG_NAME


_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.5

_BUSY = ("Conflicting lock is held", "Could not set lock on file", "different configuration than existing")
"""Another process holds the file; or, the last one, this process reads it."""

_REFUSALS = (
    "Permission denied",
    "Read-only file system",
    "No space left",
    "Is a directory",
    "Not a directory",
)


_one_at_a_time = threading.RLock()
"""Held while a connection is open: the system's file locks do not keep threads of one process apart."""


class DamagedCatalogError(Exception):
    """The catalog file cannot be used and has to be rebuilt; never reaches the user."""


@contextmanager
def opened(
    path: Path,
    *,
    read_only: bool,
    timeout_seconds: float,
    on_wait: Callable[[str], None] | None = None,
    settings: dict[str, str] | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a catalog of this version, closed at the end of the block.

    A reading one attaches the file to a database in memory: it sees the newest file, whatever else this process has
    open, and `settings` may take all other files away from it.
    `on_wait` is called once, with a sentence, if another process holds the file. Raises CatalogLockedError
    after `timeout_seconds`, DamagedCatalogError if the file is no catalog of this version (met while opening or
    inside the block), StoreError if the system forbids the access.
    """
    with _one_at_a_time:
        connection = _connect(
            path, read_only=read_only, timeout_seconds=timeout_seconds, on_wait=on_wait, settings=settings or {}
        )
        try:
            _check_version(connection, path)
            with explained(path):
                yield connection
        finally:
            connection.close()


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raises DuckDB's errors as DamagedCatalogError, as StoreError if access or memory is refused, or unchanged."""
    try:
        yield
    except duckdb.Error as error:
        if _is_short_of_memory(error):
            raise short_of_memory(first_line(error), path=path) from error
        if _is_refusal(error):
            raise _refused(error, path) from error
        if _is_damage(error):
            raise DamagedCatalogError(f"{path}: {first_line(error)}") from error
        raise


def _connect(
    path: Path,
    *,
    read_only: bool,
    timeout_seconds: float,
    on_wait: Callable[[str], None] | None,
    settings: dict[str, Any],
) -> duckdb.DuckDBPyConnection:
    started = time.monotonic()
    pause = _FIRST_PAUSE_SECONDS
    announced = False
    while True:
        try:
            return _reader(path, settings) if read_only else duckdb.connect(str(path), config=settings)
        except duckdb.Error as error:
            message = str(error)
            if _is_refusal(error):
                raise _refused(error, path) from error
            if not any(reason in message for reason in _BUSY):
                raise DamagedCatalogError(f"{path}: {first_line(error)}") from error
            waited = time.monotonic() - started
            if waited >= timeout_seconds:
                raise CatalogLockedError(
                    f"catalog {path} is still held by {_holder(message)} after {waited:.1f} s, expected it free "
                    f"within {timeout_seconds:g} s; close that program, or raise THINKLESS_LOCK_TIMEOUT_SECONDS"
                ) from error
            if on_wait is not None and not announced:
                on_wait(f"waiting for {_holder(message)}, which holds {path.name}")
                announced = True
            time.sleep(min(pause, max(0.0, timeout_seconds - waited)))
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


def _reader(path: Path, settings: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    try:
        quoted = str(path).replace("'", "''")
        connection.execute(f"attach '{quoted}' as catalog (read_only)")
        connection.execute("use catalog")
        for name, value in settings.items():
            connection.execute(f"set {name} = {value}")
    except duckdb.Error:
        connection.close()
        raise
    return connection


def _is_damage(error: duckdb.Error) -> bool:
    """Whether an error met after opening is about the file and not about the statement."""
    message = str(error)
    return (
        "Corrupt database file" in message
        or "database has been invalidated" in message
        or (isinstance(error, duckdb.IOException) and CATALOG_NAME in message)
        or isinstance(error, duckdb.SerializationException)
    )


def _is_refusal(error: duckdb.Error) -> bool:
    return any(reason in str(error) for reason in _REFUSALS)


def _refused(error: duckdb.Error, path: Path) -> StoreError:
    if "No space left" in str(error):
        return store_error(OSError(errno.ENOSPC, ""), path=path)
    return StoreError(
        f"cannot use {path}: {first_line(error)}; expected a catalog that this user may read and write, on a disk "
        "with space: correct that, or set THINKLESS_HOME to another directory"
    )


def _is_short_of_memory(error: duckdb.Error) -> bool:
    return isinstance(error, duckdb.OutOfMemoryException) or "failed to pin block" in str(error)  # of a commit


def short_of_memory(message: str, *, path: Path, doing: str = "write") -> StoreError:
    """The error for a query about `path` that ran out of memory, or of the disk that it spills to."""
    if "failed to offload" in message:  # spilled rows fill nearly all of the free disk
        return store_error(OSError(errno.ENOSPC, ""), path=path)
    return StoreError(
        f"cannot {doing} {path}: {message}; expected rows that DuckDB can work on within this limit of memory, "
        "with the rest on disk: take fewer or shorter rows"
    )


def first_line(error: Exception) -> str:
    """The first line of DuckDB's message, without its advice and links."""
    return str(error).partition("\n")[0].partition(". See also")[0]


def remove_catalog(path: Path) -> None:
    """Removes a catalog file and its write-ahead log, which would be replayed into the next file of this name."""
    path.with_name(path.name + ".wal").unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _check_version(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    try:
        # All rows are fetched: an unfinished result would keep the connection from other work.
        ((version,),) = connection.execute("select max(schema_version) from catalog_info").fetchall()
    except duckdb.CatalogException as error:
        raise DamagedCatalogError(f"{path} is a DuckDB file but no catalog") from error
    if version != (expected := schema_version()):
        raise DamagedCatalogError(f"{path} has schema version {version}, expected {expected}")


def _holder(message: str) -> str:
    """The process that holds the file, read from DuckDB's message."""
    found = re.search(r"Conflicting lock is held in (?P<command>.+?) \(PID (?P<pid>\d+)\)", message)
    if found:
        return f"{found['command']} (pid {found['pid']})"
    return "another connection of this process" if "different configuration" in message else "another process"
