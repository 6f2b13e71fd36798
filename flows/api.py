"""The product from Python.

run(profile, overrides) -> Run -> table | dataset | model | report;  sql(query) -> Arrow;  load_policy(run) -> answers

Nothing keeps a file open between two calls, so a notebook stops no run and a run stops no notebook. Errors are
`schemas.errors.ThinklessError`; their text says the way out. THINKLESS_HOME is read at each call, as by the command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from flows.direct import run_directly
from flows.own_log import show_own_log
from flows.policy import Policy, policy_of
from flows.request import check_request
from flows.run_choice import choose_run, having_stage
from flows.toml_text import toml_text
from infra.runs import RunRecord, list_runs
from infra.settings import Settings
from infra.store.artifact_store import ArtifactStore
from schemas.errors import MissingArtifactError, nearest

if TYPE_CHECKING:
    import datasets

__all__ = ["Policy", "Run", "load_policy", "open_run", "run", "runs", "sql"]

TrainedModel = Literal["rl", "sft"]


@dataclass(frozen=True)
class Run:
    """One run, finished or not, and the artifacts it found or built."""

    record: RunRecord
    """Its configuration, stages, status and times."""
    home: Path
    """The store that its artifacts are in."""

    @property
    def run_id(self) -> str:
        """Its id, as `thinkless runs` lists it."""
        return self.record.run_id

    def folder(self, stage: str) -> Path:
        """The folder of a stage's artifact; of `teach`, the first teacher's.

        Raises MissingArtifactError if the run has no such stage.
        """
        uses = having_stage(self.record, stage).stages
        return next(ArtifactStore(self.home).path(use.stage, use.key) for use in uses if use.stage == stage)

    def tables(self) -> tuple[str, ...]:
        """Name of each table that its stages wrote."""
        return tuple(dict.fromkeys(table for table, _ in self._files()))

    def table(self, name: str) -> pa.Table:
        """The rows that this run's stages wrote into a table, of all its files; `.to_pandas()` makes a data frame.

        Raises MissingArtifactError if no stage of the run wrote it.
        """
        return pa.concat_tables([pq.read_table(path) for path in self._files_of(name)], promote_options="default")

    def dataset(self, name: str) -> datasets.Dataset:
        """The same rows as a `datasets.Dataset`, mapped from the disk."""
        import datasets

        files = [str(path) for path in self._files_of(name)]
        return datasets.load_dataset("parquet", data_files=files, split="train")

    def model(self, stage: TrainedModel = "rl") -> Path:
        """The folder of a trained model, which `transformers` loads; `load_policy(run)` gives one that answers."""
        return self.folder(stage) / "model"

    def report(self) -> Path:
        """The HTML report."""
        return self.folder("report") / "report.html"

    def _files(self) -> list[tuple[str, Path]]:
        """Table and path of every file with rows."""
        store = ArtifactStore(self.home)
        return [
            (file.table, store.path(use.stage, use.key) / file.name)
            for use in self.record.stages
            for file in store.manifest(use.stage, use.key).files
            if file.table is not None
        ]

    def _files_of(self, name: str) -> list[Path]:
        files = self._files()
        if found := [path for table, path in files if table == name]:
            return found
        known = list(dict.fromkeys(table for table, _ in files))
        raise MissingArtifactError(f"run {self.run_id} has no table {name!r}; {nearest(name, known)}")


def run(
    profile: str = "tiny",
    overrides: Mapping[str, object] | Sequence[str] = (),
    *,
    until: str | None = None,
    refresh: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> Run:
    """Find or build every stage, in this process and without Prefect; progress goes to standard error.

    `profile` is a shipped one or the path of a TOML file; `overrides` are `{"rl.gamma": 0.3}` or `["rl.gamma=0.3"]`;
    `until` is the last stage. `refresh` builds stages anew; `keep` uses theirs although their sources have changed.
    Raises ConfigError before anything starts if something cannot be used.
    """
    texts = (
        [f"{key}={toml_text(value)}" for key, value in overrides.items()]
        if isinstance(overrides, Mapping)
        else overrides
    )
    request = check_request(profile, overrides=texts, until=until, refresh=refresh, keep=keep)
    show_own_log()
    return Run(run_directly(request).record, request.settings.home)


def runs() -> list[Run]:
    """Every run of the store, oldest first."""
    home = Settings.from_environment().home
    return [Run(record, home) for record in list_runs(home)]


def open_run(run_id: str | None = None) -> Run:
    """The run of this id, or of the only id that begins with it; None: the newest finished one of no study.

    Raises MissingArtifactError if there is none.
    """
    home = Settings.from_environment().home
    return Run(choose_run(home, run_id), home)


def sql(query: str, **parameters: object) -> pa.Table:
    """The result of one reading statement over every table and view of the catalog.

    `sql("from pairs where problem_id = $id", id="p-0")` fills `$id`. Each call reads the catalog as it is then, and
    closes it. Raises QueryError for SQL that writes, does not parse or names something unknown.
    """
    from infra.catalog.query import run_query  # imported here because a run from the store needs no DuckDB

    settings = Settings.from_environment()
    return run_query(settings.home, query, timeout_seconds=settings.lock_timeout_seconds, parameters=parameters)


def load_policy(source: Run | str | Path | None = None, *, model: TrainedModel = "rl", instruction: str = "") -> Policy:
    """A trained model that answers questions.

    `source` is a run, its id, the folder of an exported model, or None for the newest run; `instruction` stands below
    every question of an exported folder (a run knows its own). Raises MissingArtifactError or ConfigError.
    """
    if source is not None and not isinstance(source, Run) and Path(source).is_dir():
        return Policy(Path(source), instruction=instruction)
    home = Settings.from_environment().home
    chosen = source if isinstance(source, Run) else Run(choose_run(home, _text(source), having=model), home)
    return policy_of(ArtifactStore(chosen.home), model, chosen.folder(model).name)


def _text(source: str | Path | None) -> str | None:
    return None if source is None else str(source)
