"""The artifact store: directories that are complete and verified, or absent.

open_workspace -> <key>.part (work, checkpoints in scratch/) -> describe_files -> publish -> <key> -> find

Beside an artifact there may be `<key>.part` (being built), `<key>.received` (being downloaded), `<key>.old` (being
replaced), `<key>.corrupt-N` (found damaged) and `<key>.quarantine-N` (failed validation); on a home that machines share
the first two have their builder's name as well (infra/store/places.py). The manifest is written last; after a crash
between manifest and rename, the next `find` completes the rename. Renames hold a short lock, so that a reader under
that lock never takes a half-done exchange for damage.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import NamedTuple

from infra.disk import sync, temporary_name, write_whole, writing
from infra.store import workspace as workspaces
from infra.store.manifest_file import MANIFEST_NAME, decode_manifest, encode_manifest
from infra.store.places import Places, key_of
from infra.store.publishing import put_in_place
from infra.store.shared_home import lock
from infra.store.verified_artifact import lost, reference, verified
from infra.store.verified_files import first_damage
from infra.store.workspace import SCRATCH_NAME, Role
from schemas.artifact import Artifact, Manifest, OutputFile
from schemas.errors import MissingArtifactError, StoreError

_log = logging.getLogger("thinkless")
BUILDER_NAME = "builder"
"""File in scratch/ with the owner of the build."""


class UnfinishedBuild(NamedTuple):
    """An artifact that is being built, or whose build was interrupted."""

    stage: str
    key: str
    workspace: Path
    began: float
    """When its owner took it up, seconds since the epoch."""


class ArtifactStore:
    """All artifacts under one home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._places = Places(home)

    def path(self, stage: str, key: str) -> Path:
        """Directory of a published artifact, whether it exists or not."""
        return self._places.final(stage, key)

    def find(self, stage: str, key: str) -> Artifact | None:
        """The artifact, after it was verified (see infra.store.verified_files); None if it has to be built.

        A damaged one is moved aside with a warning that names the file. Raises StoreError if a newer
        version of the program wrote it.
        """
        directory = self.path(stage, key)
        if not directory.parent.exists():
            return None
        written = any((part / MANIFEST_NAME).exists() for part in self._places.workspaces(stage, key))
        interrupted = written or self._places.old(stage, key).exists()
        if not interrupted:
            try:
                return verified(directory, stage=stage, key=key, record=self._places.record(stage, key))
            except ValueError:
                pass  # absent, damaged, or exchanged while it was read: checked again under the lock
        with self._renaming(stage, key):
            self._finish_publish(stage, key)
            if not directory.exists():
                return None
            try:
                return verified(directory, stage=stage, key=key, record=self._places.record(stage, key))
            except ValueError as damage:
                aside = self._move_aside(directory, label="corrupt")
                _log.warning(
                    "artifact %s/%s is damaged: %s; moved to %s, it will be rebuilt", stage, key, damage, aside
                )
                return None

    def holds(self, stage: str, key: str) -> bool:
        """Whether there is a published artifact; its files are not verified."""
        return (self.path(stage, key) / MANIFEST_NAME).exists()

    def manifest(self, stage: str, key: str) -> Manifest:
        """The manifest of a published artifact; its files are not verified.

        Raises MissingArtifactError if there is none, StoreError if the manifest itself is damaged.
        """
        where = self.path(stage, key) / MANIFEST_NAME
        try:
            return decode_manifest(where.read_bytes(), where=str(where))
        except FileNotFoundError:
            said = (
                f"no artifact {stage}/{key} in {self._places.root}; expected a published one; `thinkless run` builds it"
            )
            raise MissingArtifactError(said) from None
        except ValueError as damage:
            raise StoreError(f"{damage}; launch the run again, which rebuilds the artifact") from damage

    def manifests(self) -> Iterator[Manifest]:
        """Manifests of all published artifacts, oldest first; damaged ones are left out with a warning."""
        found = []
        for where in self._places.root.glob(f"*/*/{MANIFEST_NAME}"):
            if "." in where.parent.name:  # .part, .old, .corrupt-N, .quarantine-N
                continue
            try:
                found.append(decode_manifest(where.read_bytes(), where=str(where)))
            except (ValueError, FileNotFoundError) as damage:
                _log.warning("left out: %s", damage)
        yield from sorted(found, key=lambda manifest: (manifest.created_at, manifest.stage, manifest.key))

    def damages(self) -> Iterator[tuple[Manifest, str]]:
        """Read every byte of every published artifact; yields the damaged ones and what is wrong with them.

        Nothing is moved here. The record of verified files is deleted, so that `find` reads a damaged artifact again
        and moves it aside.
        """
        for manifest in self.manifests():
            record = self._places.record(manifest.stage, manifest.key)
            record.unlink(missing_ok=True)
            damage = first_damage(self.path(manifest.stage, manifest.key), manifest, record=record)
            if damage is not None:
                yield manifest, damage

    def build_lock(
        self,
        stage: str,
        key: str,
        *,
        owner: str,
        timeout_seconds: float | None = None,
        on_wait: Callable[[str], None] | None = None,
    ) -> AbstractContextManager[None]:
        """The lock that allows one builder per key. Without `timeout_seconds` it waits for ever: the other builder
        makes the artifact that is wanted here.
        """
        return lock(
            self.home,
            self._places.lock(stage, key, "build"),
            owner=owner,
            timeout_seconds=timeout_seconds,
            on_wait=on_wait,
        )

    def unfinished(self, *, owner: str) -> list[UnfinishedBuild]:
        """Builds that `owner` took up last and that are not published, oldest first; takes no lock."""
        found = []
        for builder in self._places.root.glob(f"*/*.part/{SCRATCH_NAME}/{BUILDER_NAME}"):
            part = builder.parent.parent
            with suppress(FileNotFoundError):  # published since
                if builder.read_text(encoding="utf-8") == owner:
                    found.append(UnfinishedBuild(part.parent.name, key_of(part), part, builder.stat().st_mtime))
        return sorted(found, key=lambda build: build.began)

    def workspace(self, stage: str, key: str) -> Path | None:
        """Where an artifact is being built, or its build was interrupted; None if nowhere."""
        found = self._places.workspaces(stage, key)
        return found[-1] if found else None

    def open_workspace(self, stage: str, key: str, *, owner: str = "") -> Path:
        """The directory to build in, with its scratch/ and all files of an interrupted build, which is taken over.

        Only the holder of the build lock may call it. `owner` is what `unfinished` finds it by.
        """
        part, before = self._places.workspace(stage, key), self.workspace(stage, key)
        with writing(part):
            if before is not None and not part.exists():
                with suppress(FileNotFoundError):
                    before.rename(part)
            (part / SCRATCH_NAME).mkdir(parents=True, exist_ok=True)
            for unpublished in (part / MANIFEST_NAME, *part.glob(temporary_name(MANIFEST_NAME, unique="*"))):
                unpublished.unlink(missing_ok=True)
            (part / SCRATCH_NAME / BUILDER_NAME).write_text(owner, encoding="utf-8")
        return part

    @staticmethod
    def describe_files(
        workspace: Path, *, roles: Mapping[str, Role], tables: Mapping[str, str]
    ) -> tuple[OutputFile, ...]:
        """See infra.store.workspace.describe_files."""
        return workspaces.describe_files(workspace, roles=roles, tables=tables)

    @staticmethod
    def output_digest(files: Sequence[OutputFile]) -> str:
        """See infra.store.workspace.output_digest."""
        return workspaces.output_digest(files)

    def publish(self, workspace: Path, manifest: Manifest, *, replace: bool = True) -> Artifact:
        """Make the workspace the artifact of its key.

        An artifact that is there already is replaced if `replace` says so, else returned instead, if it is whole: its
        builder was quicker. A crash at any point leaves the old artifact, the new one, or a state that `find` completes
        to one of them. Raises WorkspaceLostError if another builder has taken the workspace over.
        """
        stage, key = manifest.stage, manifest.key
        assert (workspace.parent.name, key_of(workspace)) == (stage, key), f"{workspace} is none of {stage}/{key}"
        assert manifest.digest == self.output_digest(manifest.files), "digest and files of the manifest disagree"
        with self._renaming(stage, key), writing(workspace):
            try:
                for file in manifest.files:
                    sync(workspace / file.name)
                write_whole(workspace / MANIFEST_NAME, encode_manifest(manifest), new_folder=False)
            except FileNotFoundError as error:
                raise lost(workspace) from error
            return self._place(workspace, manifest, replace=replace)

    def _place(self, folder: Path, manifest: Manifest, *, replace: bool) -> Artifact:
        """Put a folder in the place of its artifact; returns that one, or the one that was there already."""
        stage, key = manifest.stage, manifest.key
        final, record = self.path(stage, key), self._places.record(stage, key)
        if not replace and final.exists():
            try:
                verified(final, stage=stage, key=key, record=record)
            except ValueError:
                replace = True
        shutil.rmtree(folder / SCRATCH_NAME, ignore_errors=True)
        placed = put_in_place(folder, final=final, old=self._places.old(stage, key), replace=replace)
        if placed:
            return reference(final, manifest)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            return reference(final, self.manifest(stage, key))
        except MissingArtifactError:
            raise lost(folder) from None

    def receive(self, stage: str, key: str, fill: Callable[[Path], Manifest | None]) -> Manifest | None:
        """Publish what `fill` writes into an empty folder: an artifact of another home, every byte of it checked.

        Nothing is published if `fill` returns None. Only the holder of the build lock may call it, for a key that is
        not published; what an interrupted build has left goes.
        """
        folder = self._places.received(stage, key)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            with writing(folder):
                folder.mkdir(parents=True)
            manifest = fill(folder)
            if manifest is None:
                return None
            with self._renaming(stage, key), writing(folder):
                for file in (*(file.name for file in manifest.files), MANIFEST_NAME):
                    sync(folder / file)
                self._place(folder, manifest, replace=False)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        for part in self._places.workspaces(stage, key):
            shutil.rmtree(part, ignore_errors=True)
        return manifest

    def quarantine(self, workspace: Path) -> Path:
        """Move a workspace that failed validation aside; the next build starts with an empty one."""
        stage, key = workspace.parent.name, key_of(workspace)
        with self._renaming(stage, key):
            return self._move_aside(workspace, label="quarantine")

    def _finish_publish(self, stage: str, key: str) -> None:
        """Complete or undo a `publish` that a crash interrupted."""
        old, final = self._places.old(stage, key), self.path(stage, key)
        for part in self._places.workspaces(stage, key):
            if not (part / MANIFEST_NAME).exists():
                continue
            try:
                verified(part, stage=stage, key=key)
                manifest = decode_manifest((part / MANIFEST_NAME).read_bytes(), where=str(part))
            except (ValueError, FileNotFoundError):
                (part / MANIFEST_NAME).unlink(missing_ok=True)
            else:
                self._place(part, manifest, replace=True)
        if old.exists():
            if final.exists():
                shutil.rmtree(old, ignore_errors=True)
            else:
                old.rename(final)

    def _move_aside(self, directory: Path, *, label: str) -> Path:
        key = key_of(directory)
        number = 1
        while (aside := directory.with_name(f"{key}.{label}-{number}")).exists():
            number += 1
        with writing(directory):
            directory.rename(aside)
        return aside

    def _renaming(self, stage: str, key: str) -> AbstractContextManager[None]:
        return lock(self.home, self._places.lock(stage, key, "rename"), owner=f"publisher of {stage}/{key}")
