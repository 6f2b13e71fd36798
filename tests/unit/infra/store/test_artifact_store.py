"""Artifacts are whole or absent: after damage of every kind, after a crash at any point, under load."""

from __future__ import annotations

import itertools
import json
import logging
import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.store.artifact_store import ArtifactStore
from infra.store.manifest_file import decode_manifest, encode_manifest
from schemas.artifact import MANIFEST_VERSION
from schemas.errors import MissingArtifactError, StoreError
from tests.unit.infra.report.published import PROBLEM, publish

KEY = "0123456789abcdef0123"


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path)


def test_a_published_artifact_is_found_with_its_manifest_and_without_scratch(store: ArtifactStore) -> None:
    artifact = publish(store, "problems", KEY, tables={"problems": [PROBLEM]})
    assert store.find("problems", KEY) == artifact
    directory = store.path("problems", KEY)
    assert artifact.path == str(directory)
    assert artifact.rows == 1
    assert sorted(p.name for p in directory.iterdir()) == ["build.log", "manifest.json", "model", "problems.parquet"]
    files = {file.name: file for file in store.manifest("problems", KEY).files}
    assert (files["problems.parquet"].table, files["problems.parquet"].rows) == ("problems", 1)
    assert {name: file.role for name, file in files.items()} == {
        "build.log": "log",
        "model/payload.txt": "data",
        "problems.parquet": "data",
    }


def test_what_was_never_built_is_not_found(store: ArtifactStore) -> None:
    assert store.find("problems", KEY) is None
    assert list(store.manifests()) == []
    with pytest.raises(MissingArtifactError, match=f"no artifact problems/{KEY}"):
        store.manifest("problems", KEY)


@pytest.mark.parametrize("name", ["model/payload.txt", "build.log", "problems.parquet", "manifest.json"])
@pytest.mark.parametrize("damage", ["deleted", "first byte", "middle byte", "last byte", "cut short", "emptied"])
def test_damage_of_any_kind_to_any_file_is_noticed_named_and_moved_aside(
    store: ArtifactStore, caplog: pytest.LogCaptureFixture, name: str, damage: str
) -> None:
    publish(store, "problems", KEY, tables={"problems": [PROBLEM]})
    path = store.path("problems", KEY) / name
    content = bytearray(path.read_bytes())
    if damage.endswith("byte"):
        content[{"first byte": 0, "middle byte": len(content) // 2, "last byte": -1}[damage]] ^= 1
        path.write_bytes(content)
    elif damage == "deleted":
        path.unlink()
    else:
        path.write_bytes(content[:-1] if damage == "cut short" else b"")
    with caplog.at_level(logging.WARNING, logger="thinkless"):
        assert store.find("problems", KEY) is None
    assert str(path) in caplog.text
    assert not store.path("problems", KEY).exists()
    assert store.path("problems", f"{KEY}.corrupt-1").is_dir()


def test_every_single_flipped_byte_of_a_manifest_is_noticed(store: ArtifactStore) -> None:
    publish(store, "problems", KEY)
    content = (store.path("problems", KEY) / "manifest.json").read_bytes()
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1
        with pytest.raises(ValueError, match="manifest"):
            decode_manifest(bytes(flipped), where="manifest.json")


def test_a_rebuilt_artifact_may_be_damaged_again(store: ArtifactStore) -> None:
    for _ in range(2):
        publish(store, "problems", KEY)
        (store.path("problems", KEY) / "build.log").unlink()
        assert store.find("problems", KEY) is None
    assert sorted(p.name for p in store.path("problems", KEY).parent.iterdir()) == [
        f"{KEY}.corrupt-1",
        f"{KEY}.corrupt-2",
    ]


def test_an_artifact_in_the_wrong_place_is_not_taken_for_another(store: ArtifactStore) -> None:
    publish(store, "problems", KEY)
    other = "f" * 20
    shutil.copytree(store.path("problems", KEY), store.path("problems", other))
    assert store.find("problems", other) is None
    assert store.find("problems", KEY) is not None


def test_a_newer_manifest_version_asks_for_an_upgrade_and_touches_nothing(store: ArtifactStore) -> None:
    publish(store, "problems", KEY, payload="x")
    where = store.path("problems", KEY) / "manifest.json"
    newer = store.manifest("problems", KEY).model_copy(update={"manifest_version": MANIFEST_VERSION + 1})
    where.write_bytes(encode_manifest(newer))
    with pytest.raises(StoreError, match=rf"manifest_version={MANIFEST_VERSION + 1}.*upgrade thinkless-flows"):
        store.find("problems", KEY)
    assert where.exists()


def test_only_data_files_count_in_the_digest(store: ArtifactStore) -> None:
    first = publish(store, "rl", KEY)
    workspace = store.open_workspace("rl", "other")
    (workspace / "model").mkdir()
    (workspace / "model" / "payload.txt").write_text("weights")
    (workspace / "build.log").write_text("took 9 s")
    files = store.describe_files(workspace, roles={"*.log": "log"}, tables={})
    assert store.output_digest(files) == first.digest
    (workspace / "model" / "payload.txt").write_text("weightz")
    files = store.describe_files(workspace, roles={"*.log": "log"}, tables={})
    assert store.output_digest(files) != first.digest


def test_a_symbolic_link_is_refused(store: ArtifactStore, tmp_path: Path) -> None:
    workspace = store.open_workspace("base", KEY)
    (workspace / "model").symlink_to(tmp_path)
    with pytest.raises(StoreError, match=r"symbolic link.*copy"):
        store.describe_files(workspace, roles={}, tables={})


def test_an_interrupted_workspace_keeps_its_work(store: ArtifactStore) -> None:
    (store.open_workspace("sft", KEY) / "scratch" / "step-100").write_text("checkpoint")
    assert store.find("sft", KEY) is None
    assert (store.open_workspace("sft", KEY) / "scratch" / "step-100").read_text() == "checkpoint"


def test_quarantine_keeps_the_rejected_files_and_frees_the_key(store: ArtifactStore) -> None:
    for number in (1, 2):
        workspace = store.open_workspace("pairs", KEY)
        (workspace / "pairs.txt").write_text("bad")
        aside = store.quarantine(workspace)
        assert aside.name == f"{KEY}.quarantine-{number}"
        assert (aside / "pairs.txt").read_text() == "bad"
    assert not workspace.exists()
    assert list(store.manifests()) == []


def test_publishing_again_replaces_the_artifact(store: ArtifactStore) -> None:
    publish(store, "rl", KEY, payload="old")
    new = publish(store, "rl", KEY, payload="new")
    assert store.find("rl", KEY) == new
    assert [p.name for p in store.path("rl", KEY).parent.iterdir()] == [KEY]


def publish_and_die(store: ArtifactStore, *, victim: int) -> int:
    """Publishes in a forked child that kills itself before its `victim`-th disk operation; its exit status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    operations = itertools.count()

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if next(operations) == victim:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return call

    for owner, name in ((Path, "rename"), (Path, "replace"), (shutil, "rmtree"), (os, "fsync")):
        setattr(owner, name, counted(getattr(owner, name)))
    try:
        publish(store, "rl", KEY, payload="new")
    except BaseException:  # noqa: BLE001 - a forked child must never return into the test session
        os._exit(1)
    os._exit(0)


@pytest.mark.parametrize("replaces", [False, True], ids=["first publish", "replacement"])
def test_kill_minus_nine_at_any_step_of_publish_leaves_the_old_or_the_new(tmp_path: Path, replaces: bool) -> None:
    """The process is killed before the 1st, 2nd, ... rename, removal or fsync, until it finishes unharmed."""
    seen = []
    for victim in range(40):
        store = ArtifactStore(tmp_path / str(victim))
        if replaces:
            publish(store, "rl", KEY, payload="old")
        status = publish_and_die(store, victim=victim)
        found = store.find("rl", KEY)
        if found is not None:
            seen.append((Path(found.path) / "model" / "payload.txt").read_text())
        else:
            assert not replaces, f"killed at step {victim}: neither old nor new"
            workspace = store.open_workspace("rl", KEY)
            assert (workspace / "scratch" / "chunk-0").exists()
            names = [file.name for file in store.describe_files(workspace, roles={}, tables={})]
            assert names == ["build.log", "model/payload.txt"]
            seen.append("work kept")
        assert [p.name for p in store.path("rl", KEY).parent.iterdir() if p.suffix == ".old"] == []
        if status == 0:
            break
        assert status == -signal.SIGKILL
    else:
        pytest.fail("publish never finished")
    # Once the new one was found it stays: there is one step from before to after.
    before = "old" if replaces else "work kept"
    assert seen == [before] * seen.count(before) + ["new"] * seen.count("new")
    assert seen.count(before) > 2
    assert seen.count("new") > 2


def test_a_reader_never_mistakes_a_replacement_for_damage(store: ArtifactStore) -> None:
    publish(store, "rl", KEY)
    stop = threading.Event()
    missed: list[object] = []

    def read() -> None:
        while not stop.is_set():
            try:
                if store.find("rl", KEY) is None:
                    missed.append("not found")
            except Exception as error:  # noqa: BLE001 - handed to the test's thread
                missed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(50):
        publish(store, "rl", KEY, payload=f"version {number}")
    stop.set()
    reader.join()
    assert missed == []
    assert [p.name for p in store.path("rl", KEY).parent.iterdir()] == [KEY]


def test_one_builder_per_key_and_other_keys_are_free(store: ArtifactStore) -> None:
    said: list[str] = []
    order: list[str] = []

    def build(name: str) -> None:
        with store.build_lock("rl", KEY, owner=name, on_wait=said.append):
            order.append(f"{name} begins")
            if name == "first":
                waiting.start()
                while not said:
                    os.sched_yield()
            order.append(f"{name} ends")

    waiting = threading.Thread(target=build, args=["second"])
    build("first")
    waiting.join()
    assert order == ["first begins", "first ends", "second begins", "second ends"]
    assert len(said) == 1
    assert said[0].startswith("waiting for first (pid")


def test_manifests_come_oldest_first_and_damaged_ones_are_left_out(
    store: ArtifactStore, caplog: pytest.LogCaptureFixture
) -> None:
    for number, key in enumerate(["ccc", "bbb", "aaa"]):
        publish(store, "rl", key, created_at=f"2026-11-2{number}T00:00:00+00:00")
    (store.path("rl", "bbb") / "manifest.json").write_text("{}")
    store.open_workspace("rl", "ddd")
    assert [manifest.key for manifest in store.manifests()] == ["ccc", "aaa"]
    assert "bbb" in caplog.text


def test_the_manifest_can_be_read_by_people_and_programs(store: ArtifactStore) -> None:
    publish(store, "rl", KEY)
    envelope = json.loads((store.path("rl", KEY) / "manifest.json").read_text())
    assert envelope["manifest"]["key"] == KEY
    assert set(envelope) == {"manifest", "sha256"}


def test_a_store_that_cannot_be_written_says_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file, not a directory")
    with pytest.raises(StoreError, match="set THINKLESS_HOME"):
        ArtifactStore(tmp_path / "home").open_workspace("rl", KEY)
