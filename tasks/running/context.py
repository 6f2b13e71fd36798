"""What every stage is told about the run it belongs to, what it plans to do, and whether that is done.

Nothing slow is imported here: a run that finds everything in the store needs no more than this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from infra.catalog.catalog import Catalog
from infra.fingerprint import source_fingerprint, stage_key
from infra.settings import Settings
from infra.store.artifact_store import ArtifactStore
from infra.validation.checks import Suite
from schemas.artifact import Artifact
from schemas.configs.stage import StageConfig
from thinkless_core.progress import Progress

C = TypeVar("C", bound=StageConfig)


@dataclass(frozen=True)
class RunContext:
    """The run a stage is built in."""

    run_id: str
    profile: str
    settings: Settings
    refresh: frozenset[str] = frozenset()
    """Stages to rebuild even where the store has them."""

    @property
    def store(self) -> ArtifactStore:
        """The artifacts of this run's home."""
        return ArtifactStore(self.settings.home)

    @property
    def catalog(self) -> Catalog:
        """The catalog of this run's home."""
        return Catalog(self.settings.home, timeout_seconds=self.settings.lock_timeout_seconds)


@dataclass(frozen=True)
class StagePlan(Generic[C]):
    """What one stage would build: its configuration, inputs and therefore its key."""

    stage: str
    label: str
    """How it is called on the screen; differs from `stage` where a stage runs twice (teach)."""
    version: int
    config: C
    slice: Mapping[str, object]
    """The configuration as it enters the key, with the hashes of files it names."""
    inputs: tuple[Artifact, ...]
    module: str
    """Module of the stage's `build`; named, not imported."""
    fingerprint: str
    key: str


@dataclass(frozen=True)
class Gate:
    """A table to be validated before anything is published."""

    file: str
    suite: Suite


@dataclass(frozen=True)
class StageOutcome:
    """What a build left in its workspace."""

    rows: int
    tables: Mapping[str, str] = field(default_factory=dict)
    """File name -> catalog table."""
    drops: Mapping[str, int] = field(default_factory=dict)
    gates: tuple[Gate, ...] = ()


Build = Callable[[StagePlan[C], RunContext, Path, Progress], StageOutcome]
"""Builds a stage's files in a workspace; work in progress lives in its `scratch/`."""


def make_plan(
    stage: str,
    *,
    module: str,
    config: C,
    inputs: tuple[Artifact, ...] = (),
    version: int = 1,
    label: str | None = None,
    extra: Mapping[str, object] | None = None,
) -> StagePlan[C]:
    """The plan of one stage; `module` is the task's module, whose reachable sources are fingerprinted.

    `extra` is what the key must depend on besides the configuration, such as the hash of a file it names.
    """
    fingerprint = source_fingerprint([module])
    config_slice = {**config.model_dump(mode="json"), **(extra or {})}
    key = stage_key(stage=stage, stage_version=version, fingerprint=fingerprint, config=config_slice, inputs=inputs)
    return StagePlan(stage, label or stage, version, config, config_slice, inputs, module, fingerprint, key)


def find_done(context: RunContext, plan: StagePlan[C]) -> Artifact | None:
    """The published, verified artifact of a plan; None where it has to be built (or is to be refreshed)."""
    if plan.stage in context.refresh:
        return None
    return context.store.find(plan.stage, plan.key)
