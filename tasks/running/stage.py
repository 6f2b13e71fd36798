"""A stage of the pipeline, declared once: its configuration, inputs, tables and build.

configuration + upstream artifacts -> Stage.plan -> StagePlan (with its key) -> found in the store, or Stage.build

A plan is cheap: a run that finds everything in the store loads neither torch nor Prefect. A stage's file therefore
imports heavy modules inside `build`.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from infra.fingerprint import combined, file_sha256, plugin_hashes, resource_hashes, source_hashes, stage_key
from infra.installed import installed_version
from schemas.artifact import Artifact
from schemas.base import Record
from schemas.configs.pipeline import PipelineConfig
from schemas.configs.stage import StageConfig, local_paths_in, resources_in
from schemas.errors import SourceError, ThinklessError
from schemas.kinds import Kind, kinds_in
from tasks.running.context import RunContext

if TYPE_CHECKING:
    from infra.validation.checks import Suite
    from thinkless_core.progress import Progress

C = TypeVar("C", bound=StageConfig)


@dataclass(frozen=True)
class Gate:
    """A table file, and the suite that validates it before anything is published."""

    file: str
    suite: Suite


@dataclass(frozen=True)
class StageOutcome:
    """Result of a build: rows, marked rows by reason, and gates to run.

    Rows that were left out are no part of it: a stage lists them in table `dropped`, where they are counted.
    """

    rows: int
    marked: Mapping[str, int] = field(default_factory=dict)
    """Reason -> rows that were kept although a rule found something; a reason ends in `_kept`."""
    gates: tuple[Gate, ...] = ()


@dataclass(frozen=True)
class StagePlan(Generic[C]):
    """Everything that decides what one stage builds: configuration, inputs and code; and the key made from them."""

    stage: str
    label: str
    """Its name on the screen; differs from `stage` if a stage runs twice (teach)."""
    builder: Stage[C]
    config: C
    slice: Mapping[str, object]
    """The configuration as part of the key, with the hashes of the files it names and the versions of packages."""
    inputs: tuple[Artifact, ...]
    sources: Mapping[str, str]
    """Module, file of this program or file of a plug-in -> sha256: the code that is part of the key."""
    fingerprint: str
    key: str

    @property
    def files(self) -> Mapping[str, str]:
        """File that the configuration names -> sha256."""
        found = self.slice.get("files")
        return found if isinstance(found, dict) else {}


class Stage(ABC, Generic[C]):
    """One stage. A new one is a file like this, and a line in flows/recipe.py:

        from pathlib import Path

        from schemas.base import Record
        from schemas.configs.stage import StageConfig
        from schemas.records.problems import Problem
        from tasks.running.parquet_files import read_records, write_table
        from tasks.running.stage import Stage, StageOutcome

        class WordCount(Record):
            TABLE = "word_counts"
            FILE = "word_counts.parquet"

            problem_id: str
            words: int

        class CountWordsConfig(StageConfig):
            at_least: int = 0

        class CountWords(Stage[CountWordsConfig]):
            \"\"\"Words per problem.\"\"\"

            name = "count_words"
            config = CountWordsConfig
            needs = ("problems",)
            tables = (WordCount,)

            def build(self, plan, context, workspace, progress):
                problems = read_records(Path(plan.inputs[0].path) / Problem.FILE, Problem)
                rows = [WordCount(problem_id=p.problem_id, words=len(p.prompt.split())) for p in problems]
                rows = [row for row in rows if row.words >= plan.config.at_least]
                return StageOutcome(rows=write_table(workspace, WordCount, rows))

    Its settings are the table `count_words` of the configuration if PipelineConfig has such a field, else the table
    `stages.count_words`.
    """

    name: ClassVar[str]
    config: ClassVar[type[StageConfig]]
    needs: ClassVar[tuple[str, ...]] = ()
    """Labels of the stages whose artifacts it reads, in the order of `StagePlan.inputs`."""
    tables: ClassVar[tuple[type[Record], ...]] = ()
    """Record classes of its tables; each names its Parquet file and its table in SQL."""
    resources: ClassVar[tuple[str, ...]] = ()
    """Files and folders of this program, other than Python, that can change its output: SQL and templates."""
    outside_key: ClassVar[frozenset[str]] = frozenset()
    """Settings that are not part of its key, because they decide who computes and not what."""
    judges: ClassVar[bool] = False
    """Whether it judges answers: then the verifiers that the problems name are part of its key."""

    @property
    def label(self) -> str:
        """Its name on the screen and among inputs."""
        return self.name

    def settings(self, config: PipelineConfig) -> C:
        """Its slice of the configuration, of which its key is made. Raises ConfigError for an invalid one."""
        found = getattr(config, self.name, None)
        return found if found is not None else config.added_stage(self.name, self.config)  # type: ignore[return-value]

    def inputs(self, config: PipelineConfig) -> tuple[str, ...]:
        """Labels of the artifacts that it reads with a given configuration."""
        return self.needs

    def kinds(self, config: PipelineConfig) -> Iterator[Kind]:
        """Kinds (schemas/kinds.py) that can change its output; their code is part of the key."""
        yield from kinds_in(self.settings(config))
        if self.judges:
            yield from config.problems.verifiers()

    def plan(self, config: PipelineConfig, done: Mapping[str, Artifact]) -> StagePlan[C]:
        """Its plan, given the finished artifacts by label."""
        settings = self.settings(config)
        return make_plan(
            self,
            settings,
            inputs=tuple(done[label] for label in self.inputs(config)),
            kinds=self.kinds(config),
        )

    def refuse(self, config: PipelineConfig, artifact: Artifact) -> None:
        """Raise ConfigError if what the stage made does not go with the settings of later ones; called before they are
        built. Nothing is refused unless a stage says so."""

    @abstractmethod
    def build(self, plan: StagePlan[C], context: RunContext, workspace: Path, progress: Progress) -> StageOutcome:
        """Write the stage's files into `workspace`; its `scratch/` holds work in progress and survives a crash."""


def make_plan(
    stage: Stage[C], settings: C, *, inputs: tuple[Artifact, ...], kinds: Iterable[Kind] = ()
) -> StagePlan[C]:
    """The plan of one stage; its key contains everything that can change the output."""
    chosen = list(kinds)
    plugins, imported = plugin_hashes(file for kind in chosen for file in kind.source_files().items())
    modules = dict.fromkeys(
        [type(stage).__module__, *(module for kind in chosen for module in kind.modules()), *imported]
    )
    resources = (*stage.resources, *resources_in(settings))
    sources = {**source_hashes(list(modules)), **resource_hashes(resources), **plugins}
    files = _file_hashes(local_paths_in(settings))
    packages = _package_versions(package for kind in chosen for package in kind.packages)
    config_slice: dict[str, object] = {
        **settings.model_dump(mode="json", exclude=set(stage.outside_key)),
        **({"files": files} if files else {}),
        **({"packages": packages} if packages else {}),
    }
    code = combined(sources)
    key = stage_key(stage=stage.name, fingerprint=code, config=config_slice, inputs=inputs)
    return StagePlan(stage.name, stage.label, stage, settings, config_slice, inputs, sources, code, key)


@contextmanager
def changed_files_first(plan: StagePlan[Any]) -> Iterator[None]:
    """A block that reads the files of the configuration. If it fails, the error of refuse_changed_files comes before
    its own: a file that grows ends in half a row.
    """
    try:
        yield
    except ThinklessError:
        refuse_changed_files(plan)
        raise


@contextmanager
def unchanged_files(plan: StagePlan[Any]) -> Iterator[None]:
    """The same, and the files are compared at the end, too."""
    with changed_files_first(plan):
        yield
    refuse_changed_files(plan)


def refuse_changed_files(plan: StagePlan[Any]) -> None:
    """Raise SourceError if a file that the configuration names is another one than when the key was made."""
    refuse_changes(plan.files, label=plan.label)


def refuse_changes(files: Mapping[str, str], *, label: str) -> None:
    """The same for files with their sha256, in another process."""
    for name, sha256 in files.items():
        if _file_hashes([name]).get(name) != sha256:
            raise SourceError(
                f"{name}: changed while stage {label} read it; expected a file that stays as it is; wait until it "
                "is complete, and launch again"
            )


def _package_versions(names: Iterable[str]) -> dict[str, str]:
    """Package -> installed version. A missing one is named as such; its stage reports it."""
    return {name: installed_version(name) or "not installed" for name in sorted(set(names))}


def _file_hashes(paths: Iterable[str]) -> dict[str, str]:
    """File -> sha256, also for all files in the folders. A missing one is skipped; its stage reports it."""
    found = (
        [Path(path)] if os.path.isfile(path) else Path(path).rglob("*") if os.path.isdir(path) else [] for path in paths
    )
    try:
        files = {file for files in found for file in files if file.is_file()}
        return {str(file): file_sha256(file) for file in sorted(files)}
    except OSError as error:
        raise SourceError(
            f"{error.filename}: cannot be read: {error.strerror}; allow it, or give another path"
        ) from error
