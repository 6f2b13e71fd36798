"""The context of a run, and the lookup of a finished stage.

Nothing slow is imported here: a run whose stages are all in the store needs only this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import TypeVar

from infra.catalog.catalog import Catalog
from infra.settings import Settings
from infra.store.artifact_store import ArtifactStore
from schemas.artifact import Artifact, Manifest
from schemas.configs.stage import StageConfig
from tasks.running.rebuild_reason import differences
from tasks.running.stage import StagePlan

C = TypeVar("C", bound=StageConfig)

RESULT_PACKAGES = ("torch", "transformers", "vllm", "math-verify")
"""Packages whose versions can change a model's output or a verdict."""


@dataclass(frozen=True)
class RunContext:
    """One run: its settings, and which stages it rebuilds or keeps."""

    run_id: str
    profile: str
    settings: Settings
    refresh: frozenset[str] = frozenset()
    """Stages to rebuild even if the store has them."""
    keep: frozenset[str] = frozenset()
    """Stages whose newest artifact is taken although their sources changed, if configuration and inputs are equal."""
    same_versions: bool = False
    """True: an artifact made with other versions of RESULT_PACKAGES is rebuilt."""

    @property
    def store(self) -> ArtifactStore:
        """The artifacts of this run's home."""
        return ArtifactStore(self.settings.home)

    @property
    def catalog(self) -> Catalog:
        """The catalog of this run's home."""
        return Catalog(self.settings.home, timeout_seconds=self.settings.lock_timeout_seconds)


def find_done(context: RunContext, plan: StagePlan[C]) -> Artifact | None:
    """The published, verified artifact of a plan; None if it has to be built or rebuilt."""
    if plan.stage in context.refresh:
        return None
    found = context.store.find(plan.stage, plan.key)
    if found is not None:
        outdated = context.same_versions and version_changes(context.store.manifest(plan.stage, plan.key))
        return None if outdated else found
    return _kept(context, plan) if plan.stage in context.keep else None


def _kept(context: RunContext, plan: StagePlan[C]) -> Artifact | None:
    """The newest artifact that differs from a plan only in its sources."""
    for manifest in reversed(list(context.store.manifests())):
        if manifest.stage == plan.stage and not differences(plan, manifest).besides_sources():
            found = context.store.find(manifest.stage, manifest.key)
            if found is not None:
                return found.model_copy(update={"kept": True})
    return None


def version_changes(manifest: Manifest) -> Mapping[str, tuple[str, str]]:
    """Package -> (version the artifact was made with, version installed), where they differ."""
    changes = {}
    for name in RESULT_PACKAGES:
        made_with, installed = manifest.packages.get(name), installed_version(name)
        if made_with is not None and installed is not None and made_with != installed:
            changes[name] = (made_with, installed)
    return changes


def installed_version(package: str) -> str | None:
    """Version of an installed package; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
