"""The context of one run.

Nothing slow is imported here: a run whose stages are all in the store needs only this module and tasks/running/find.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from infra.catalog.catalog import Catalog
from infra.settings import Settings
from infra.store.artifact_store import ArtifactStore
from tasks.running.shared_artifacts import SharedArtifacts


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
    """Whether an artifact made with other versions of torch, transformers, vllm or math-verify is rebuilt."""
    shared: SharedArtifacts | None = None
    """The remote that this run takes artifacts from and gives them to; None: there is none."""

    @property
    def store(self) -> ArtifactStore:
        """The artifacts of this run's home."""
        return ArtifactStore(self.settings.home)

    @property
    def catalog(self) -> Catalog:
        """The catalog of this run's home."""
        return Catalog(self.settings.home, timeout_seconds=self.settings.lock_timeout_seconds)
