"""The catalog says what the store holds, and is rebuilt from it after any accident."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.catalog.catalog import Catalog
from infra.catalog.query import run_query
from infra.runs import list_runs, save_run, start_run
from infra.store.artifact_store import ArtifactStore
from schemas.errors import ContractError, StoreError
from schemas.records.metrics import Metric
from schemas.tables import TABLES
from tests.fast_and_slow import fast_and_slow
from tests.unit.infra.report.published import PROBLEM, build_home, build_home_step_by_step, publish, publish_pipeline

PUBLIC_COLUMNS = {
    "eval_summary": "run_id model benchmark mode n accuracy accuracy_stderr think_share mean_tokens truncated_share"
    " grader artifact_key",
    "pairs": "problem_id prompt answer think_completion short_completion think_tokens short_tokens think_truncated"
    " short_truncated split artifact_key",
    "metrics": "run_id stage step name value artifact_key",
    "runs": "run_id profile status started_at finished_at",
    "artifacts": "stage key path digest rows created_at cached_hits run_id seed fingerprint label",
    "edges": "parent_stage parent_key child_stage child_key",
    "checks": "artifact_key suite expectation success observed failing_rows",
    "drops": "artifact_key stage reason rows",
    "run_artifacts": "run_id stage key cached label",
}

HOLD = """
import duckdb, sys, time
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


@contextmanager
def held_by_another_process(path: Path, *, seconds: float) -> Iterator[int]:
    """Somebody has the catalog open for writing, as the DuckDB shell would; yields the pid."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path), str(seconds)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def rows(home: Path, sql: str) -> list[tuple[object, ...]]:
    connection = duckdb.connect(str(home / "catalog.duckdb"), read_only=True)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def content(home: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table and view, sorted."""
    with duckdb.connect(str(home / "catalog.duckdb"), read_only=True) as connection:
        names = connection.execute("select table_name from information_schema.tables order by 1").fetchall()
        return {name: sorted(connection.execute(f"from {name}").fetchall(), key=repr) for (name,) in names}


def test_all_public_columns_exist_before_anything_was_run(tmp_path: Path) -> None:
    Catalog(tmp_path, timeout_seconds=5).open_or_rebuild()
    found = rows(tmp_path, "select table_name, column_name from information_schema.columns")
    for table, names in PUBLIC_COLUMNS.items():
        assert {(table, name) for name in names.split()} <= set(found)
    for table in TABLES:
        assert rows(tmp_path, f"select count(*) from {table}") == [(0,)]


def test_artifacts_of_every_stage_are_in_their_tables(tmp_path: Path) -> None:
    made = build_home_step_by_step(tmp_path)
    counts = {table: rows(tmp_path, f"select count(*) from {table}")[0][0] for table in TABLES}
    assert counts == {
        "problems": 1,
        "removed_problems": 0,
        "unreadable_answers": 0,
        "conflicting_answers": 0,
        "dropped": 0,
        "generations": 2,
        "pairs": 1,
        "rollouts": 1,
        "metrics": 2,
        "eval_completions": 3,
        "eval_summary": 1,
        "eval_routers": 1,
        "eval_pareto": 1,
        "guard_events": 1,
        "study_members": 0,
        "study_pareto": 0,
        "study_curves": 0,
        "study_claims": 0,
    }
    assert rows(tmp_path, "select run_id, name, value, artifact_key from metrics order by name") == [
        ("run-1", "loss", 2.5, made["sft"].key),
        ("run-1", "reward", 0.5, made["rl"].key),
    ]
    assert rows(tmp_path, "select stage, digest, rows, cached_hits, run_id from artifacts where stage = 'pairs'") == [
        ("pairs", made["pairs"].digest, 1, 1, "run-1")
    ]
    assert rows(tmp_path, "select parent_stage from edges where child_stage = 'pairs' order by 1") == [
        ("problems",),
        ("teach",),
        ("teach",),
    ]
    for table in ("artifacts", "run_artifacts"):
        assert rows(tmp_path, f"select distinct label, key from {table} where stage = 'teach' order by 1") == [
            ("teach-short", made["teach_short"].key),
            ("teach-think", made["teach_think"].key),
        ]
    assert rows(tmp_path, "select run_id, status, profile from runs order by 1") == [
        ("run-1", "completed", "tiny"),
        ("run-2", "completed", "tiny"),
    ]
    assert rows(tmp_path, "select run_id, model, accuracy from run_eval_summary order by 1") == [
        ("run-1", "rl", 1.0),
        ("run-2", "rl", 1.0),
    ]
    assert rows(tmp_path, "select distinct reason, rows from drops") == [("duplicate", 2)]
    assert rows(tmp_path, "select distinct stage from drops where stage like 'teach%' order by 1") == [
        ("teach-short",),
        ("teach-think",),
    ]
    assert rows(tmp_path, "select count(*), bool_and(success) from checks") == [(len(made), True)]


def test_times_are_utc_whatever_zone_they_were_written_in(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    artifact = publish(store, "base", "k1", created_at="2026-11-21T12:00:00+02:00")
    Catalog(tmp_path, timeout_seconds=5).register(store.manifest("base", "k1"), Path(artifact.path))
    assert rows(tmp_path, "select created_at::varchar from artifacts") == [("2026-11-21 10:00:00",)]


def test_registering_again_replaces_rows_and_changes_nothing_else(tmp_path: Path) -> None:
    build_home(tmp_path)
    before = content(tmp_path)
    store, catalog = ArtifactStore(tmp_path), Catalog(tmp_path, timeout_seconds=5)
    for manifest in store.manifests():
        catalog.register(manifest, store.path(manifest.stage, manifest.key))
    assert content(tmp_path) == before


def test_a_rebuilt_catalog_equals_the_original(tmp_path: Path) -> None:
    build_home_step_by_step(tmp_path)
    before = content(tmp_path)
    Catalog(tmp_path, timeout_seconds=5).rebuild(ArtifactStore(tmp_path), list_runs(tmp_path))
    assert content(tmp_path) == before
    assert sorted(p.name for p in tmp_path.glob("catalog.duckdb*")) == ["catalog.duckdb"]


@pytest.mark.parametrize(
    "accident", fast_and_slow(["deleted", "garbage", "old version"], ["emptied", "cut short", "flipped byte"])
)
def test_after_any_accident_the_next_write_rebuilds_all(
    tmp_path: Path, accident: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = build_home(tmp_path)
    before = content(tmp_path)
    path = tmp_path / "catalog.duckdb"
    if accident == "deleted":
        path.unlink()
    elif accident == "old version":
        with duckdb.connect(str(path)) as connection:
            connection.execute("update catalog_info set schema_version = 0")
    else:
        whole = bytearray(path.read_bytes())
        whole[4096 + 100] ^= 0xFF
        damaged = {"garbage": b"garbage" * 5000, "emptied": b"", "cut short": whole[: len(whole) // 2]}
        path.write_bytes(damaged.get(accident, whole))
    store = ArtifactStore(tmp_path)
    base = made["base"]
    Catalog(tmp_path, timeout_seconds=5).register(store.manifest("base", base.key), Path(base.path))
    assert content(tmp_path) == before
    assert accident == "deleted" or "rebuilding it" in caplog.text


def test_one_damaged_artifact_does_not_keep_out_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = build_home(tmp_path)
    (Path(made["pairs"].path) / "pairs.parquet").write_bytes(b"no parquet")
    Catalog(tmp_path, timeout_seconds=5).rebuild(ArtifactStore(tmp_path), [])
    assert rows(tmp_path, "select count(*) from pairs") == [(0,)]
    assert rows(tmp_path, "select count(*) from artifacts") == [(len(made) - 1,)]
    assert f"pairs/{made['pairs'].key}" in caplog.text


def test_a_file_with_columns_its_table_lacks_is_refused_and_nothing_is_changed(tmp_path: Path) -> None:
    made = build_home(tmp_path)
    before = content(tmp_path)
    store = ArtifactStore(tmp_path)
    path = Path(made["pairs"].path)
    table = pq.read_table(path / "pairs.parquet").append_column("extra", pa.array([1]))
    pq.write_table(table, path / "pairs.parquet")
    with pytest.raises(ContractError, match=r"table pairs has no columns \['extra'\]"):
        Catalog(tmp_path, timeout_seconds=5).register(store.manifest("pairs", made["pairs"].key), path)
    assert content(tmp_path) == before


def test_columns_are_matched_by_name_also_from_a_folder_that_looks_like_a_partition(tmp_path: Path) -> None:
    home = tmp_path / "run_id=7 [x]*"
    store = ArtifactStore(home)
    metric = Metric(stage="rl", step=3, name="reward", value=0.25)
    artifact = publish(store, "rl", "k1", tables={"metrics": [metric]})
    table = pq.read_table(Path(artifact.path) / "metrics.parquet", partitioning=None)
    pq.write_table(table.select(["value", "name", "step", "stage"]), Path(artifact.path) / "metrics.parquet")
    Catalog(home, timeout_seconds=5).register(store.manifest("rl", "k1"), Path(artifact.path))
    assert rows(home, "select run_id, stage, step, name, value from metrics") == [("run-1", "rl", 3, "reward", 0.25)]


def test_a_run_adds_what_a_crash_kept_out_and_leaves_the_rest_alone(tmp_path: Path) -> None:
    made = publish_pipeline(tmp_path)
    store, catalog = ArtifactStore(tmp_path), Catalog(tmp_path, timeout_seconds=5)
    catalog.open_or_rebuild()
    late = publish(store, "problems", "late", tables={"problems": [PROBLEM]})
    found = [(store.manifest(a.stage, a.key), Path(a.path)) for a in (*made.values(), late)]
    catalog.record_run(start_run("r", profile="tiny", config={}), found=found)
    assert rows(tmp_path, "select count(*) from artifacts") == [(len(made) + 1,)]
    before = rows(tmp_path, "select rowid, key from artifacts order by rowid")
    catalog.record_run(start_run("r", profile="tiny", config={}), found=found)
    assert rows(tmp_path, "select rowid, key from artifacts order by rowid") == before, "nothing is written again"


def test_a_foreign_holder_is_waited_for(tmp_path: Path) -> None:
    made = build_home(tmp_path)
    store, base = ArtifactStore(tmp_path), made["base"]
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "catalog.duckdb"), "0.7"], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        Catalog(tmp_path, timeout_seconds=30).register(store.manifest("base", base.key), Path(base.path))


def test_a_foreign_holder_stops_no_run_and_keeps_what_it_opened(tmp_path: Path) -> None:
    build_home(tmp_path)
    path = tmp_path / "catalog.duckdb"
    with held_by_another_process(path, seconds=60):
        started = time.monotonic()
        for run_id in ("first", "second"):
            Catalog(tmp_path, timeout_seconds=60).record_run(start_run(run_id, profile="tiny", config={}))
        assert time.monotonic() - started < 10, "it waits once, and the new file is held by nobody"
        assert rows(tmp_path, "select run_id from runs where run_id in ('first', 'second') order by 1") == [
            ("first",),
            ("second",),
        ]
    assert not list(tmp_path.glob("catalog.duckdb.new*"))


def test_a_notebook_with_an_open_connection_writes_and_reads_beside_it(tmp_path: Path) -> None:
    build_home(tmp_path)
    path, count = tmp_path / "catalog.duckdb", "select count(*) from runs"
    with duckdb.connect(str(path), read_only=True) as mine:
        (before,) = mine.execute(count).fetchall()
        for run_id in ("first", "second"):
            Catalog(tmp_path, timeout_seconds=60).record_run(start_run(run_id, profile="tiny", config={}))
        assert mine.execute(count).fetchall() == [before], "a snapshot"
        assert run_query(tmp_path, f"{count} where run_id in ('first', 'second')", timeout_seconds=5)[
            0
        ].to_pylist() == [2]


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    keys = [f"key-{number}" for number in range(6)]
    for key in keys:
        publish(store, "problems", key, tables={"problems": [PROBLEM]})
    program = """
import sys
from pathlib import Path
from infra.store.artifact_store import ArtifactStore
from infra.catalog.catalog import Catalog
from infra.catalog.query import run_query
store = ArtifactStore(Path(sys.argv[1]))
for key in sys.argv[2:]:
    Catalog(store.home, timeout_seconds=60).register(store.manifest("problems", key), store.path("problems", key))
"""
    others = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), *keys[start::3]]) for start in (0, 1)]

    def register() -> None:
        for key in keys[2::3]:
            Catalog(tmp_path, timeout_seconds=60).register(store.manifest("problems", key), store.path("problems", key))

    thread = threading.Thread(target=register)
    thread.start()
    assert [process.wait(timeout=60) for process in others] == [0, 0]
    thread.join()
    assert rows(tmp_path, "select count(distinct artifact_key), count(*) from problems") == [(6, 6)]


def test_kill_minus_nine_inside_a_transaction_leaves_the_rows_before_it(tmp_path: Path) -> None:
    made = build_home(tmp_path)
    before = content(tmp_path)
    program = """
import os, signal, sys
from pathlib import Path
from infra.catalog import catalog, catalog_rows
from infra.store.artifact_store import ArtifactStore
catalog_rows._count_cached_hits = lambda connection: os.kill(os.getpid(), signal.SIGKILL)
store = ArtifactStore(Path(sys.argv[1]))
catalog.Catalog(store.home, timeout_seconds=5).register(
    store.manifest("pairs", sys.argv[2]), store.path("pairs", sys.argv[2]))
"""
    child = subprocess.run([sys.executable, "-c", program, str(tmp_path), made["pairs"].key], check=False)
    assert child.returncode == -signal.SIGKILL
    assert content(tmp_path) == before
    store = ArtifactStore(tmp_path)
    Catalog(tmp_path, timeout_seconds=5).register(store.manifest("pairs", made["pairs"].key), Path(made["pairs"].path))
    assert content(tmp_path) == before


def test_a_write_committed_just_before_kill_minus_nine_is_kept(tmp_path: Path) -> None:
    """The commit is then only in the write-ahead log, which readers must replay and a rebuild must not."""
    build_home(tmp_path)
    program = """
import duckdb, os, signal, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("insert into drops values ('k', 'rl', 'from the log', 1)")
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "catalog.duckdb")], check=False)
    assert (tmp_path / "catalog.duckdb.wal").exists()
    assert rows(tmp_path, "select count(*) from drops where reason = 'from the log'") == [(1,)]
    Catalog(tmp_path, timeout_seconds=5).rebuild(ArtifactStore(tmp_path), list_runs(tmp_path))
    assert rows(tmp_path, "select count(*) from drops where reason = 'from the log'") == [(0,)]


def test_a_run_that_died_is_known_as_failed_after_the_next_one_started(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path, timeout_seconds=5)
    record = start_run("dead", profile="tiny", config={})
    catalog.record_run(record)
    save_run(tmp_path, record.model_copy(update={"process_started": 0.0}))
    assert rows(tmp_path, "select status from runs") == [("running",)]
    catalog.record_run(start_run("next", profile="tiny", config={}))
    assert rows(tmp_path, "select run_id, status, error from runs order by 1") == [
        ("dead", "failed", "process ended"),
        ("next", "running", None),
    ]


def test_a_catalog_path_that_is_a_directory_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "catalog.duckdb").mkdir()
    with pytest.raises(StoreError, match="THINKLESS_HOME"):
        Catalog(tmp_path, timeout_seconds=5).open_or_rebuild()
    assert os.path.isdir(tmp_path / "catalog.duckdb")
