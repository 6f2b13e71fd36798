"""A home that several machines share: publishing without locks, workspaces of one's own, a catalog per machine."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
import socket
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from infra.catalog.catalog_file import catalog_path
from infra.catalog.query import run_query
from infra.runs import load_run, save_run, start_run
from infra.store import artifact_store
from infra.store.artifact_store import ArtifactStore
from infra.store.shared_home import MARK, local_files, share
from schemas.artifact import Artifact
from schemas.errors import StoreError, WorkspaceLostError
from tests.forked import FORKS
from tests.unit.infra.report.published import PROBLEM, publish

KEY = "0123456789abcdef0123"
RACES = [f"{n:020x}" for n in range(20)]
"""Keys that eight builders build at once."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    share(tmp_path / "home", local=str(tmp_path / "local"))
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> ArtifactStore:
    return ArtifactStore(home)


def test_what_a_machine_keeps_for_itself_is_outside_the_home(store: ArtifactStore, home: Path) -> None:
    publish(store, "problems", KEY, tables={"problems": [PROBLEM]})
    os.utime(store.path("problems", KEY) / "problems.parquet", (1, 1))
    assert store.find("problems", KEY) is not None
    assert not (home / "verified").exists()
    assert catalog_path(home).parent == local_files(home) != home


def test_a_mark_that_cannot_be_read_is_an_error_with_a_way_out(home: Path) -> None:
    (home / MARK).write_text("{}")
    with pytest.raises(StoreError, match="thinkless share"):
        local_files(home)


def build_and_publish(
    home: Path,
    name: str,
    gate: multiprocessing.synchronize.Barrier,  # type: ignore[name-defined]
    results: multiprocessing.Queue[list[str]],
    *,
    replace: bool,
) -> None:
    """One builder that no lock keeps out, and that takes no other one for dead; it reads what it was given."""
    artifact_store.lock = lambda *_, **__: nullcontext()  # type: ignore[assignment]
    ArtifactStore.workspace = lambda *_: None  # type: ignore[assignment]
    store, found = ArtifactStore(home), []
    for key in RACES:
        gate.wait(60)
        artifact = publish(store, "rl", key, payload=f"of {name} " * 1000, replace=replace)
        # What replaces and is replaced cannot be read without a lock.
        found.append("" if replace else (Path(artifact.path) / "model" / "payload.txt").read_text())
    results.put(found)


@pytest.mark.parametrize("replace", [False, True])
def test_eight_builders_without_any_lock_leave_one_whole_artifact(home: Path, replace: bool) -> None:
    gate, results = FORKS.Barrier(8), FORKS.Queue()
    builders = [
        FORKS.Process(
            target=build_and_publish, args=(home, str(n), gate, results), kwargs={"replace": replace}, daemon=True
        )
        for n in range(8)
    ]
    for builder in builders:
        builder.start()
    found = [results.get(timeout=90) for _ in builders]
    for builder in builders:
        builder.join()
        assert builder.exitcode == 0
    store = ArtifactStore(home)
    for key, given in zip(RACES, zip(*found, strict=True), strict=True):
        assert store.find("rl", key) is not None
        left = (store.path("rl", key) / "model" / "payload.txt").read_text()
        assert replace or set(given) == {left}, "a builder did not adopt what was published"
    assert sorted(path.name for path in (home / "artifacts" / "rl").iterdir()) == RACES


def test_the_next_builder_takes_the_workspace_over_and_the_first_one_learns_it(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store.open_workspace("sft", KEY, owner="run 1")
    (first / "scratch" / "step-100").write_text("checkpoint")
    monkeypatch.setattr(socket, "gethostname", lambda: "n2")
    second = store.open_workspace("sft", KEY, owner="run 2")
    assert second != first
    assert (second / "scratch" / "step-100").read_text() == "checkpoint"
    assert not first.exists()
    assert [build.workspace for build in store.unfinished(owner="run 2")] == [second]
    assert store.unfinished(owner="run 1") == []
    assert store.workspace("sft", KEY) == second
    artifact = publish(store, "sft", KEY)  # by the second one
    manifest = store.manifest("sft", KEY)
    shutil.rmtree(artifact.path)
    with pytest.raises(WorkspaceLostError, match="another builder took it over"):
        store.publish(first, manifest)


def test_a_query_sees_what_another_machine_has_published_and_run(
    home: Path, tmp_path: Path, store: ArtifactStore, caplog: pytest.LogCaptureFixture
) -> None:
    def ask(sql: str) -> list[dict[str, object]]:
        found: list[dict[str, object]] = run_query(home, sql, timeout_seconds=10).to_pylist()
        return found

    publish(store, "problems", KEY, tables={"problems": [PROBLEM]})
    assert ask("select count(*) as n from problems") == [{"n": 1}]
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="thinkless"):
        publish(store, "problems", KEY[::-1], tables={"problems": [PROBLEM, PROBLEM]})
        save_run(home, start_run("20260101-0000-aaaa", profile="tiny", config={}))
        assert ask("select count(*) as n from problems") == [{"n": 3}]
        assert ask("select status from runs") == [{"status": "running"}]
        save_run(
            home, start_run("20260101-0000-aaaa", profile="tiny", config={}).model_copy(update={"status": "failed"})
        )
        assert ask("select status from runs") == [{"status": "failed"}]
    assert caplog.text == ""


def test_a_run_of_another_machine_without_a_sign_is_not_running_for_ever(home: Path) -> None:
    record = start_run("20260101-0000-bbbb", profile="tiny", config={}).model_copy(update={"host": "n2"})
    save_run(home, record)
    assert load_run(home, record.run_id).status == "running"
    old = time.time() - 1000
    os.utime(home / "runs" / f"{record.run_id}.json", (old, old))
    found = load_run(home, record.run_id)
    assert (found.status, found.error) == ("failed", "n2 gives no sign of it")


def test_a_damaged_artifact_of_a_quicker_builder_is_replaced(store: ArtifactStore) -> None:
    first: Artifact = publish(store, "rl", KEY, payload="whole")
    (Path(first.path) / "model" / "payload.txt").write_text("hole")
    again = publish(store, "rl", KEY, payload="whole", replace=False)
    assert (Path(again.path) / "model" / "payload.txt").read_text() == "whole"
    assert json.loads((Path(again.path) / "manifest.json").read_text())["manifest"]["key"] == KEY
