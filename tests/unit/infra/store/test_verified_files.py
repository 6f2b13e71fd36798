"""What was found whole is not read again, and every change of a file is noticed all the same."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from infra.fingerprint import file_sha256
from infra.store import verified_files
from infra.store.artifact_store import ArtifactStore
from tests.unit.infra.report.published import publish

KEY = "0123456789abcdef0123"
WEIGHTS = "model/payload.txt"
ALL = {WEIGHTS, "build.log"}


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    store = ArtifactStore(tmp_path)
    publish(store, "rl", KEY)
    return store


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as old as soon as the clock of the file system has ticked."""
    monkeypatch.setattr(verified_files, "SETTLED_SECONDS", 0.0)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files whose bytes were read, in order."""
    files: list[Path] = []

    def reading(path: Path) -> str:
        files.append(path)
        return file_sha256(path)

    monkeypatch.setattr(verified_files, "file_sha256", reading)
    return files


def names_read(store: ArtifactStore, read: list[Path], *, found: bool = True) -> set[str]:
    """Names of the files that one look at the artifact reads."""
    read.clear()
    directory = store.path("rl", KEY)
    time.sleep(0.02)  # several ticks, so that what was written before differs in time from what is written next
    assert (store.find("rl", KEY) is not None) == found
    return {path.relative_to(directory).as_posix() for path in read}


@pytest.mark.usefixtures("settled")
def test_unchanged_files_are_read_once_and_again_when_their_time_is_over(
    store: ArtifactStore, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert names_read(store, read) == ALL
    assert names_read(store, read) == set()
    assert names_read(ArtifactStore(store.home), read) == set()
    monkeypatch.setattr(verified_files, "TRUSTED_SECONDS", 0.0)
    assert names_read(store, read) == ALL


def test_a_file_too_young_to_tell_a_second_write_is_read_every_time(store: ArtifactStore, read: list[Path]) -> None:
    assert names_read(store, read) == ALL
    assert names_read(store, read) == ALL


def overwrite(path: Path) -> None:
    path.write_bytes(b"WEIGHTS")


def put_another_in_its_place(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"WEIGHTS")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("change", [overwrite, put_another_in_its_place])
@pytest.mark.usefixtures("settled")
def test_a_change_that_keeps_size_and_time_of_writing_is_noticed(
    store: ArtifactStore, read: list[Path], change: object
) -> None:
    assert names_read(store, read) == ALL
    path = store.path("rl", KEY) / WEIGHTS
    before = path.stat()
    assert callable(change)
    change(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert WEIGHTS in names_read(store, read, found=False)
    assert store.path("rl", f"{KEY}.corrupt-1").is_dir()


@pytest.mark.usefixtures("settled")
def test_only_the_touched_file_is_read_and_a_deleted_one_is_missed(store: ArtifactStore, read: list[Path]) -> None:
    assert names_read(store, read) == ALL
    (store.path("rl", KEY) / WEIGHTS).touch()
    assert names_read(store, read) == {WEIGHTS}
    (store.path("rl", KEY) / WEIGHTS).unlink()
    assert names_read(store, read, found=False) == set()


@pytest.mark.usefixtures("settled")
def test_a_store_that_was_copied_or_an_artifact_built_again_is_read_anew(
    store: ArtifactStore, read: list[Path], tmp_path: Path
) -> None:
    assert names_read(store, read) == ALL
    copy = shutil.copytree(store.home, tmp_path / "copy")
    assert names_read(ArtifactStore(copy), read) == ALL
    publish(store, "rl", KEY)
    assert names_read(store, read) == ALL


@pytest.mark.parametrize("content", ["", "[]", "{", '{"build.log": []}', '{"build.log": 3}', '{"build.log": null}'])
@pytest.mark.usefixtures("settled")
def test_a_damaged_record_costs_time_and_nothing_else(store: ArtifactStore, read: list[Path], content: str) -> None:
    assert names_read(store, read) == ALL
    (record,) = (store.home / "verified").iterdir()
    record.write_text(content)
    assert names_read(store, read) == ALL
    assert names_read(store, read) == set()


@pytest.mark.usefixtures("settled")
def test_a_record_that_cannot_be_written_is_done_without(store: ArtifactStore, read: list[Path]) -> None:
    (store.home / "verified").write_text("a file where the directory should be")
    assert names_read(store, read) == ALL
    assert names_read(store, read) == ALL


@pytest.mark.usefixtures("settled")
def test_what_no_stamp_shows_is_found_by_reading_everything(store: ArtifactStore, read: list[Path]) -> None:
    """A disk that loses a bit changes no stamp; here the record is made to agree with the changed file."""
    assert names_read(store, read) == ALL
    assert list(store.damages()) == []
    path = store.path("rl", KEY) / WEIGHTS
    overwrite(path)
    (record,) = (store.home / "verified").iterdir()
    stamps = json.loads(record.read_text())
    stat = path.stat()
    stamps[WEIGHTS][2:5] = [stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    record.write_text(json.dumps(stamps))
    assert names_read(store, read) == set()
    ((manifest, damage),) = store.damages()
    assert (manifest.stage, manifest.key) == ("rl", KEY)
    assert WEIGHTS in damage
    assert WEIGHTS in names_read(store, read, found=False)
