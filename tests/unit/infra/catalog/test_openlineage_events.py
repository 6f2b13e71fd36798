"""Events other lineage tools can read."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest

from infra.catalog.openlineage_events import emit_events
from infra.store.artifact_store import ArtifactStore
from schemas.artifact import Manifest
from schemas.records.metrics import Metric
from tests.unit.infra.report.published import publish


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    store = ArtifactStore(tmp_path)
    parent = publish(store, "sft", "sft-key")
    metric = Metric(stage="rl", step=0, name="reward", value=0.5)
    publish(store, "rl", "rl-key", tables={"metrics": [metric]}, inputs=(parent,))
    return store.manifest("rl", "rl-key")


def events(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / "lineage" / "events.jsonl").read_text().splitlines()]


def test_start_and_complete_share_the_attempt_and_the_parent_run(tmp_path: Path, manifest: Manifest) -> None:
    attempt = uuid.uuid4()
    emit_events(tmp_path, manifest, event="start", run_id="run-1", attempt_uuid=attempt.hex, error=None)
    emit_events(tmp_path, manifest, event="complete", run_id="run-1", attempt_uuid=str(attempt))
    start, complete = events(tmp_path)
    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert start["run"]["runId"] == complete["run"]["runId"] == str(attempt)
    assert start["job"]["name"] == "rl"
    parent = complete["run"]["facets"]["parent"]
    assert parent == start["run"]["facets"]["parent"]
    assert (parent["job"]["namespace"], parent["job"]["name"]) == ("thinkless", "thinkless")
    uuid.UUID(parent["run"]["runId"])
    assert start["outputs"] == []


def test_datasets_carry_version_schema_statistics_and_assertions(tmp_path: Path, manifest: Manifest) -> None:
    emit_events(tmp_path, manifest, event="complete", run_id="run-1", attempt_uuid=uuid.uuid4().hex)
    (event,) = events(tmp_path)
    (taken,), (made,) = event["inputs"], event["outputs"]
    assert taken["name"] == str(tmp_path / "artifacts" / "sft" / "sft-key")
    assert taken["facets"]["version"]["datasetVersion"] == manifest.inputs[0].digest
    assert made["name"] == str(tmp_path / "artifacts" / "rl" / "rl-key")
    assert made["facets"]["version"]["datasetVersion"] == manifest.digest
    (table,) = made["facets"]["schema"]["fields"]
    assert table["name"] == "metrics"
    assert [(field["name"], field["type"]) for field in table["fields"]] == [
        ("stage", "string"),
        ("step", "int64"),
        ("name", "string"),
        ("value", "double"),
    ]
    statistics = made["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["fileCount"]) == (1, len(manifest.files))
    assert statistics["size"] == sum(file.num_bytes for file in manifest.files)
    (assertion,) = made["facets"]["dataQualityAssertions"]["assertions"]
    assert (assertion["assertion"], assertion["success"]) == ("rl.not_null", True)


def test_a_failure_carries_its_message_and_no_output(tmp_path: Path, manifest: Manifest) -> None:
    emit_events(tmp_path, manifest, event="fail", run_id="r", attempt_uuid=uuid.uuid4().hex, error="loss is not finite")
    (event,) = events(tmp_path)
    assert event["eventType"] == "FAIL"
    assert event["run"]["facets"]["errorMessage"]["message"] == "loss is not finite"
    assert event["outputs"] == []


def test_half_a_line_left_by_a_crash_does_not_spoil_the_next_event(tmp_path: Path, manifest: Manifest) -> None:
    path = tmp_path / "lineage" / "events.jsonl"
    path.parent.mkdir()
    path.write_text('{"eventType": "ST')
    emit_events(tmp_path, manifest, event="start", run_id="r", attempt_uuid=uuid.uuid4().hex)
    broken, whole = path.read_text().splitlines()
    assert broken == '{"eventType": "ST'
    assert json.loads(whole)["eventType"] == "START"


def test_events_of_many_writers_stay_whole_and_duckdb_reads_them(tmp_path: Path, manifest: Manifest) -> None:
    def emit(_: int) -> None:
        emit_events(tmp_path, manifest, event="complete", run_id="r", attempt_uuid=uuid.uuid4().hex)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(emit, range(12)))
    with duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")
        found = connection.execute(
            "select count(*), count(distinct run.runId) from read_json_auto(?)",
            [str(tmp_path / "lineage" / "events.jsonl")],
        ).fetchall()
    assert found == [(12, 12)]
