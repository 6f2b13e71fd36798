"""A remote for artifacts, as DVC and Git LFS users know it: what one home has built, another takes.

    PREFIX/files/ab/SHA256          bytes of a file, of whichever artifact
    PREFIX/artifacts/STAGE/KEY.json its manifest, written last and only where there is none: who comes second adopts it
    PREFIX/runs/RUN.json            a run record
    PREFIX/probe-of-conditions      empty; creating it once more has to fail

Bytes are named by what they are, so that two that build one key never write into each other's files; what is taken is
read whole before it is believed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from infra.disk import writing
from infra.remote.object_store import explained, open_store
from infra.runs import RunRecord
from infra.store.manifest_file import MANIFEST_NAME, decode_manifest
from schemas.artifact import Manifest, OutputFile
from schemas.errors import RemoteError

_CHUNK_BYTES = 8 << 20
_PROBE = "probe-of-conditions"
"""An object that stays: keys may be allowed to write and not to delete."""


class Pushed(StrEnum):
    """What became of an artifact that was pushed."""

    UPLOADED = "uploaded"
    THERE = "there"
    """The remote has it, from here or from another machine, with the same data."""
    DIFFERS = "differs"
    """The remote has other data under its key; neither was touched."""


class RemoteStore:
    """The artifacts and runs under one address."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._store: Any = open_store(self.url)
        self._keeps_conditions = False

    def manifest(self, stage: str, key: str) -> Manifest | None:
        """The manifest of an artifact; None if the remote has none. Raises RemoteError for one that is damaged."""
        content = self._get(self._manifest_path(stage, key))
        return None if content is None else self._decoded(content, stage, key)

    def keys(self) -> set[tuple[str, str]]:
        """(stage, key) of every artifact."""
        paths = (PurePosixPath(path) for path in self._list("artifacts"))
        return {(path.parent.name, path.stem) for path in paths if path.suffix == ".json" and len(path.parts) == 3}

    def push(self, folder: Path) -> Pushed:
        """Upload a published, verified artifact from its folder; its files first, its manifest last.

        Raises RemoteError if the remote does not answer, is full, or does not refuse to write a manifest twice.
        """
        content = (folder / MANIFEST_NAME).read_bytes()
        manifest = decode_manifest(content, where=str(folder / MANIFEST_NAME))
        path = self._manifest_path(manifest.stage, manifest.key)
        if (there := self.manifest(manifest.stage, manifest.key)) is not None:
            return _beside(there, manifest)
        self._require_conditions()
        for file in manifest.files:
            self._upload(folder / file.name, file)
        if self._create(path, content):
            return Pushed.UPLOADED
        there = self.manifest(manifest.stage, manifest.key)
        return Pushed.UPLOADED if there == manifest else _beside(there, manifest)  # a repeated request met its own

    def pull(self, stage: str, key: str, folder: Path) -> Manifest | None:
        """Download an artifact into an empty folder, its manifest last; None if the remote has none.

        Raises RemoteError, naming the object, if its bytes are not those of the manifest; StoreError on a full disk.
        """
        content = self._get(self._manifest_path(stage, key))
        if content is None:
            return None
        manifest = self._decoded(content, stage, key)
        with writing(folder):
            for file in manifest.files:
                self._download(file, folder)
            (folder / MANIFEST_NAME).write_bytes(content)
        return manifest

    def push_run(self, record: RunRecord) -> None:
        """Write a run record; only the run's own home does."""
        import obstore

        path, content = f"runs/{record.run_id}.json", record.model_dump_json(indent=1).encode()
        with explained(self.url, path):
            obstore.put(self._store, path, content, mode="overwrite")

    def runs(self) -> list[RunRecord]:
        """All run records, oldest first. Raises RemoteError for one that cannot be read."""
        found = []
        for path in self._list("runs"):
            content = self._get(path)
            try:
                found += [RunRecord.model_validate_json(content)] if content is not None else []
            except ValueError as error:
                raise RemoteError(
                    f"{self.url}/{path} is no run record; delete it: no artifact depends on it"
                ) from error
        return sorted(found, key=lambda record: (record.started_at, record.run_id))

    def _upload(self, file: Path, about: OutputFile) -> None:
        import obstore

        path = _file_path(about)
        with explained(self.url, path):
            try:
                there = obstore.head(self._store, path)
            except FileNotFoundError:
                there = None
            if there is None or there["size"] != about.num_bytes:
                obstore.put(self._store, path, file, chunk_size=_CHUNK_BYTES, max_concurrency=4)

    def _download(self, about: OutputFile, folder: Path) -> None:
        path, target = _file_path(about), folder / about.name
        if not target.resolve().is_relative_to(folder.resolve()):
            raise RemoteError(f"{self.url}: a manifest names the file {about.name!r}, outside its folder; not taken")
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, num_bytes = hashlib.sha256(), 0
        try:
            with target.open("wb") as sink:
                for chunk in self._chunks(path):
                    digest.update(chunk)
                    num_bytes += sink.write(chunk)
        except FileNotFoundError:
            raise RemoteError(f"{self.url}/{path} is missing, the bytes of {about.name}; not taken") from None
        if (digest.hexdigest(), num_bytes) != (about.sha256, about.num_bytes):
            raise RemoteError(
                f"{self.url}/{path} has {num_bytes} bytes with sha256 {digest.hexdigest()[:12]}, expected "
                f"{about.num_bytes} with {about.sha256[:12]}, the file {about.name}; not taken: delete that object, "
                "and push again from a home that has the artifact"
            )

    def _chunks(self, path: str) -> Iterator[bytes]:
        """The bytes of an object. What goes wrong where they are written to is not the remote's fault."""
        import obstore

        with explained(self.url, path):
            yield from map(bytes, obstore.get(self._store, path).stream(min_chunk_size=_CHUNK_BYTES))

    def _require_conditions(self) -> None:
        """Raises RemoteError if the server writes an object that exists although it was told to create one."""
        if self._keeps_conditions:
            return
        self._create(_PROBE, b"")  # unless an earlier push did
        if self._create(_PROBE, b""):
            raise RemoteError(
                f"remote {self.url} writes over an object that it was told to create (If-None-Match: *), so that two "
                "machines could take each other's place; expected a server that refuses: AWS S3, R2, MinIO, SeaweedFS"
            )
        self._keeps_conditions = True

    def _create(self, path: str, content: bytes) -> bool:
        """Write an object that does not exist; False if it does."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        with explained(self.url, path):
            try:
                obstore.put(self._store, path, content, mode="create")
            except AlreadyExistsError:
                return False
        return True

    def _get(self, path: str) -> bytes | None:
        import obstore

        with explained(self.url, path):
            try:
                return bytes(obstore.get(self._store, path).bytes())
            except FileNotFoundError:
                return None

    def _list(self, folder: str) -> Iterator[str]:
        import obstore

        with explained(self.url, folder):
            for found in obstore.list(self._store, prefix=folder):
                yield from (entry["path"] for entry in found)

    def _decoded(self, content: bytes, stage: str, key: str) -> Manifest:
        where = f"{self.url}/{self._manifest_path(stage, key)}"
        try:
            manifest = decode_manifest(content, where=where)
        except ValueError as damage:
            raise RemoteError(f"{damage}; not taken: delete that object, and push again") from damage
        if (manifest.stage, manifest.key) != (stage, key):
            raise RemoteError(f"{where} describes {manifest.stage}/{manifest.key}; not taken: delete that object")
        return manifest

    @staticmethod
    def _manifest_path(stage: str, key: str) -> str:
        return f"artifacts/{stage}/{key}.json"


def _beside(there: Manifest | None, here: Manifest) -> Pushed:
    return Pushed.THERE if there is not None and there.digest == here.digest else Pushed.DIFFERS


def _file_path(file: OutputFile) -> str:
    return f"files/{file.sha256[:2]}/{file.sha256}"
