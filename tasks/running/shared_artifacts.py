"""What a run shares with other machines: it takes from the remote what its home lacks, and gives what it has built.

A remote that fails stops no run: a warning says so, the run goes on alone, and `thinkless push` repeats the upload.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from infra.remote.remote_store import Pushed, RemoteStore
from infra.runs import RunRecord
from infra.settings import Settings
from infra.store.artifact_store import ArtifactStore
from schemas.artifact import Artifact, Manifest
from schemas.errors import RemoteError

logger = logging.getLogger("thinkless")
T = TypeVar("T")


def shared_artifacts(settings: Settings) -> SharedArtifacts | None:
    """The remote of these settings, if they name one; raises ConfigError for an address that is none."""
    return None if settings.remote is None else SharedArtifacts(RemoteStore(settings.remote))


def fetch(remote: RemoteStore, store: ArtifactStore, stage: str, key: str, *, owner: str) -> Manifest | None:
    """Download an artifact that a home lacks; None if the remote has none, or if it was built here meanwhile.

    Raises RemoteError if the remote fails or holds other bytes than its manifest says; nothing is published then.
    """
    with store.build_lock(stage, key, owner=owner, on_wait=logger.warning):
        if store.holds(stage, key):
            return None
        return store.receive(stage, key, lambda folder: remote.pull(stage, key, folder))


class SharedArtifacts:
    """The remote of one run. Once it has failed it is not asked again, so that no stage waits for it."""

    def __init__(self, remote: RemoteStore) -> None:
        self.remote = remote
        self._failed = False

    def fetch(self, store: ArtifactStore, stage: str, key: str, *, owner: str) -> Manifest | None:
        """Download an artifact; None if the remote has none, or fails, which a warning says."""
        manifest = self._asking(
            lambda: fetch(self.remote, store, stage, key, owner=owner), otherwise="it is built here instead"
        )
        if manifest is not None:
            logger.info("%-12s taken from %s, %.1f MB", manifest.label, self.remote.url, manifest.num_bytes / 1e6)
        return manifest

    def manifest(self, stage: str, key: str) -> Manifest | None:
        """The manifest of an artifact; None if the remote has none, or fails, which a warning says."""
        return self._asking(lambda: self.remote.manifest(stage, key), otherwise="what it has is not counted")

    def give(self, artifact: Artifact, *, label: str) -> None:
        """Upload an artifact, unless the remote has it; a warning says what was not uploaded."""
        pushed = self._asking(lambda: self.remote.push(Path(artifact.path)), otherwise=f"{label} is not uploaded")
        if pushed is Pushed.UPLOADED:
            logger.info("%-12s uploaded to %s", label, self.remote.url)
        elif pushed is Pushed.DIFFERS:
            logger.warning("%s", difference(self.remote, artifact.stage, artifact.key))

    def give_run(self, record: RunRecord) -> None:
        """Upload a run's record."""
        self._asking(lambda: self.remote.push_run(record), otherwise="this run is not listed there")

    def _asking(self, ask: Callable[[], T], *, otherwise: str) -> T | None:
        if self._failed:
            return None
        try:
            return ask()
        except RemoteError as error:
            self._failed = True
            logger.warning(
                "%s; %s, and this run goes on without the remote: `thinkless push` repeats the upload", error, otherwise
            )
            return None


def difference(remote: RemoteStore, stage: str, key: str) -> str:
    """A sentence about an artifact that is another one in the remote than here."""
    return (
        f"{stage}/{key}: {remote.url} has other data under this key, made by another run; neither is overwritten. "
        "Stages that sample are not equal on all machines: take one of both, by removing the other"
    )
