"""Great Expectations on a DuckDB connection that is already open: every check is SQL and runs in DuckDB.

connection -> shared engine -> datasource -> batch definition (the whole of one table).

Great Expectations has no DuckDB of its own, and its generic SQL datasource fails on every check, because it
reads results after it closed the connection they live on. So the engine here keeps one connection open, as
Great Expectations itself does for SQLite, and that connection is a cursor of the one the caller already has:
a second connection to the same file would be refused, and would not see an in-memory database at all.
Importing this module imports Great Expectations, which takes seconds: import it only to validate.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import great_expectations as gx
import sqlalchemy as sa
from great_expectations.data_context.data_context.context_factory import project_manager
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.datasource.fluent.sql_datasource import SQLDatasource
from great_expectations.execution_engine.sqlalchemy_execution_engine import SqlAlchemyExecutionEngine

if TYPE_CHECKING:
    import duckdb

_ONE_AT_A_TIME = threading.RLock()
"""Great Expectations keeps its current context in a global: two validations in two threads would mix."""


class SharedDuckDBEngine(SqlAlchemyExecutionEngine):  # type: ignore[misc]
    """Runs every query on one connection that stays open: a DuckDB result dies with its connection."""

    @contextlib.contextmanager
    def get_connection(self) -> Iterator[sa.Connection]:
        """The one connection; it is not closed here, and a query that fails leaves no broken transaction."""
        if not getattr(self, "_connection", None):
            self._connection = self.engine.connect()
        try:
            yield self._connection
        except Exception:
            self._connection.rollback()
            raise


class SharedDuckDBDatasource(SQLDatasource):  # type: ignore[misc]
    """A datasource over the caller's connection; defining it registers `data_sources.add_shared_duckdb`."""

    type: Literal["shared_duckdb"] = "shared_duckdb"

    connection_in_use: ClassVar[duckdb.DuckDBPyConnection | None] = None
    """A class variable, because Great Expectations connects while it builds the datasource."""

    def get_engine(self) -> sa.Engine:
        """The SQLAlchemy engine: every connection is a cursor of the caller's, with its own transaction."""
        if self._engine is None:
            from duckdb_engine import ConnectionWrapper

            shared = type(self).connection_in_use
            assert shared is not None, "datasource used outside `whole_table`"
            self._engine: sa.Engine | None = sa.create_engine(
                "duckdb://", poolclass=sa.NullPool, creator=lambda: ConnectionWrapper(shared.cursor())
            )
        return self._engine

    def get_execution_engine(self) -> SharedDuckDBEngine:
        """The execution engine, made once."""
        if not self._execution_engine:
            self._execution_engine: SharedDuckDBEngine | None = SharedDuckDBEngine(
                engine=self.get_engine(), create_temp_table=False
            )
        return self._execution_engine


class WholeTable(NamedTuple):
    """What a validation needs from Great Expectations."""

    context: Any
    """Ephemeral data context: everything in memory, save the Data Docs."""
    batch_definition: Any


@contextlib.contextmanager
def whole_table(con: duckdb.DuckDBPyConnection, *, table: str, docs_dir: Path | None) -> Iterator[WholeTable]:
    """Great Expectations over one table, quiet, with a Data Docs site in `docs_dir` if given.

    The table or view must be committed and not temporary: a temporary one belongs to one connection alone.
    """
    with _ONE_AT_A_TIME, _quiet():
        context = gx.get_context(mode="ephemeral", project_config=_context_config(docs_dir))
        SharedDuckDBDatasource.connection_in_use = con
        datasource = None
        try:
            datasource = context.data_sources.add_shared_duckdb(
                name="duckdb", connection_string="duckdb://", create_temp_table=False
            )
            asset = datasource.add_table_asset(name=table, table_name=table)
            yield WholeTable(context, asset.add_batch_definition_whole_table("all"))
        finally:
            SharedDuckDBDatasource.connection_in_use = None
            project_manager.set_project(None)
            if datasource is not None:
                _close(datasource)


def _close(datasource: SharedDuckDBDatasource) -> None:
    """Give the cursor back, so that no transaction stays open on the caller's database."""
    open_connection = getattr(datasource.get_execution_engine(), "_connection", None)
    if open_connection is not None:
        open_connection.close()
    engine = datasource.get_engine()
    engine.dispose()
    # duckdb-engine keeps every dialect in a cache for ever, and the dialect these types of DuckDB.
    engine.dialect._type_memos.clear()


def _context_config(docs_dir: Path | None) -> DataContextConfig:
    """Stores in memory, no temporary folders, no progress bars, nothing sent anywhere."""
    sites = {}
    if docs_dir is not None:
        sites["local"] = {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "store_backend": {
                "class_name": "TupleFilesystemStoreBackend",
                "base_directory": str(docs_dir.resolve()),
            },
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        }
    return DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        data_docs_sites=sites,
        progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
        analytics_enabled=False,
    )


@atexit.register
def _let_go_of_duckdb() -> None:
    """Spare the user a page of complaints on stderr at the end of every command.

    Great Expectations outlives the interpreter's clean-up, and with it SQLAlchemy, duckdb-engine and whatever
    they refer to. As that includes DuckDB's types, DuckDB's binding would list everything it has as leaked.
    For the same reason this module imports `duckdb` for its annotations only.
    """
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "duckdb_engine":
            vars(module).clear()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """A failed expectation is reported by the gate, once, not by the engine's log."""
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
