"""The artifact store: directories that are complete and verified, or absent.

open_workspace -> <key>.part (work, checkpoints in scratch/) -> describe_files -> publish -> <key> -> find

Beside an artifact there may be `<key>.part` (being built), `<key>.received` (being downloaded), `<key>.old` (being
replaced), `<key>.corrupt-N` (found damaged) and `<key>.quarantine-N` (failed validation). The manifest is written last;
after a crash between manifest and rename, the next `find` completes the rename. Renames hold a short lock, so that a
reader under that lock never takes a half-done exchange for damage.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from infra.disk import sync, temporary_name, write_whole, writing
from infra.locks import file_lock, lock_owner
from infra.store import workspace as workspaces
from infra.store.manifest_file import MANIFEST_NAME, decode_manifest, encode_manifest
from infra.store.verified_files import first_damage
from infra.store.workspace import SCRATCH_NAME, Role
from schemas.artifact import Artifact, Manifest, OutputFile
from schemas.errors import MissingArtifactError, StoreError

_log = logging.getLogger("thinkless")


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
        self._root = home / "artifacts"

    def path(self, stage: str, key: str) -> Path:
        """Directory of a published artifact, whether it exists or not."""
        return self._root / stage / key

    def find(self, stage: str, key: str) -> Artifact | None:
        """The artifact, after it was verified (see infra.store.verified_files); None if it has to be built.

        A damaged one is moved aside with a warning that names the file. Raises StoreError if a newer
        version of the program wrote it.
        """
        directory = self.path(stage, key)
        if not directory.parent.exists():
            return None
        interrupted = (self._part(stage, key) / MANIFEST_NAME).exists() or self._old(stage, key).exists()
        if not interrupted:
            try:
                return _verified(directory, stage=stage, key=key, record=self._record(stage, key))
            except ValueError:
                pass  # absent, damaged, or exchanged while it was read: checked again under the lock
        with self._renaming(stage, key):
            self._finish_publish(stage, key)
            if not directory.exists():
                return None
            try:
                return _verified(directory, stage=stage, key=key, record=self._record(stage, key))
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
            said = f"no artifact {stage}/{key} in {self._root}; expected a published one; `thinkless run` builds it"
            raise MissingArtifactError(said) from None
        except ValueError as damage:
            raise StoreError(f"{damage}; launch the run again, which rebuilds the artifact") from damage

    def manifests(self) -> Iterator[Manifest]:
        """Manifests of all published artifacts, oldest first; damaged ones are left out with a warning."""
        found = []
        for where in self._root.glob(f"*/*/{MANIFEST_NAME}"):
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
            record = self._record(manifest.stage, manifest.key)
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
        return file_lock(
            self._lock_file(stage, key, "build"),
            owner=owner,
            timeout_seconds=timeout_seconds,
            on_wait=on_wait,
        )

    def unfinished(self, *, owner: str) -> list[UnfinishedBuild]:
        """Builds that `owner` took up last and that are not published, oldest first; takes no lock."""
        found = []
        for part in self._root.glob("*/*.part"):
            stage, key = part.parent.name, part.name.removesuffix(".part")
            lock = self._lock_file(stage, key, "build")
            if lock_owner(lock) == owner:
                found.append(UnfinishedBuild(stage, key, part, lock.stat().st_mtime))
        return sorted(found, key=lambda build: build.began)

    def open_workspace(self, stage: str, key: str) -> Path:
        """The directory to build in, with its scratch/ and all files of an interrupted build.

        Only the holder of the build lock may call it.
        """
        part = self._part(stage, key)
        with writing(part):
            (part / SCRATCH_NAME).mkdir(parents=True, exist_ok=True)
            for unpublished in (part / MANIFEST_NAME, *part.glob(temporary_name(MANIFEST_NAME, unique="*"))):
                unpublished.unlink(missing_ok=True)
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

    def publish(self, workspace: Path, manifest: Manifest) -> Artifact:
        """Make the workspace the artifact of its key; it replaces an existing one.

        A crash at any point leaves the old artifact, the new one, or a state that `find` completes to one of
        them.
        """
        stage, key = manifest.stage, manifest.key
        assert workspace == self._part(stage, key), f"{workspace} is not the workspace of {stage}/{key}"
        assert manifest.digest == self.output_digest(manifest.files), "digest and files of the manifest disagree"
        with self._renaming(stage, key), writing(workspace):
            for file in manifest.files:
                sync(workspace / file.name)
            write_whole(workspace / MANIFEST_NAME, encode_manifest(manifest))
            self._exchange(stage, key)
        return _reference(self.path(stage, key), manifest)

    def receive(self, stage: str, key: str, fill: Callable[[Path], Manifest | None]) -> Manifest | None:
        """Publish what `fill` writes into an empty folder: an artifact of another home, every byte of it checked.

        Nothing is published if `fill` returns None. Only the holder of the build lock may call it, for a key that is
        not published; what an interrupted build has left goes.
        """
        folder = self._root / stage / f"{key}.received"
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
                folder.rename(self.path(stage, key))
                sync(folder.parent)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(self._part(stage, key), ignore_errors=True)
        return manifest

    def quarantine(self, workspace: Path) -> Path:
        """Move a workspace that failed validation aside; the next build starts with an empty one."""
        stage, key = workspace.parent.name, workspace.name.removesuffix(".part")
        with self._renaming(stage, key):
            return self._move_aside(workspace, label="quarantine")

    def _finish_publish(self, stage: str, key: str) -> None:
        """Complete or undo a `publish` that a crash interrupted."""
        part, old, final = self._part(stage, key), self._old(stage, key), self.path(stage, key)
        if (part / MANIFEST_NAME).exists():
            try:
                _verified(part, stage=stage, key=key)
            except ValueError:
                (part / MANIFEST_NAME).unlink(missing_ok=True)
            else:
                self._exchange(stage, key)
        if old.exists():
            if final.exists():
                shutil.rmtree(old)
            else:
                old.rename(final)

    def _exchange(self, stage: str, key: str) -> None:
        part, old, final = self._part(stage, key), self._old(stage, key), self.path(stage, key)
        shutil.rmtree(part / SCRATCH_NAME, ignore_errors=True)
        if final.exists():
            shutil.rmtree(old, ignore_errors=True)
            final.rename(old)
        part.rename(final)
        sync(final.parent)
        shutil.rmtree(old, ignore_errors=True)

    def _move_aside(self, directory: Path, *, label: str) -> Path:
        key = directory.name.removesuffix(".part")
        number = 1
        while (aside := directory.with_name(f"{key}.{label}-{number}")).exists():
            number += 1
        with writing(directory):
            directory.rename(aside)
        return aside

    def _part(self, stage: str, key: str) -> Path:
        return self._root / stage / f"{key}.part"

    def _old(self, stage: str, key: str) -> Path:
        return self._root / stage / f"{key}.old"

    def _record(self, stage: str, key: str) -> Path:
        return self.home / "verified" / f"{stage}-{key}.json"

    def _lock_file(self, stage: str, key: str, purpose: str) -> Path:
        return self.home / "locks" / f"{stage}-{key}.{purpose}.lock"

    def _renaming(self, stage: str, key: str) -> AbstractContextManager[None]:
        return file_lock(self._lock_file(stage, key, "rename"), owner=f"publisher of {stage}/{key}")


def _reference(directory: Path, manifest: Manifest) -> Artifact:
    return Artifact(
        stage=manifest.stage,
        key=manifest.key,
        digest=manifest.digest,
        path=str(directory),
        rows=manifest.rows,
    )


def _verified(directory: Path, *, stage: str, key: str, record: Path | None = None) -> Artifact:
    """The reference to an undamaged artifact; raises ValueError with the damage.

    Without a record of earlier verifications, every byte is read.
    """
    where = directory / MANIFEST_NAME
    try:
        content = where.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{where} is missing") from None
    manifest = decode_manifest(content, where=str(where))
    if (manifest.stage, manifest.key) != (stage, key):
        raise ValueError(f"{where} describes {manifest.stage}/{manifest.key}")
    damage = first_damage(directory, manifest, record=record)
    if damage is not None:
        raise ValueError(damage)
    return _reference(directory, manifest)
