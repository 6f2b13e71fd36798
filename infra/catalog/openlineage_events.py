"""An export of lineage for other tools: OpenLineage run events, one JSON object per line.

manifest + what happened to it -> RunEvent -> lineage/events.jsonl

The manifests are the truth; nothing here reads the file back. A dataset is an artifact, its version the output
digest; each table of it is a nested field of its schema.
"""

from __future__ import annotations

import os
import socket
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from infra.disk import writing
from infra.locks import file_lock
from infra.store.shared_home import is_shared
from schemas.artifact import InputRef, Manifest
from schemas.base import arrow_schema
from schemas.tables import TABLES

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, OutputDataset, RunEvent

NAMESPACE = "thinkless"
PRODUCER = "urn:thinkless-flows"
FLOW_JOB = "thinkless"
"""Job of the parent run: the flow."""

Event = Literal["start", "complete", "fail"]


def emit_events(
    home: Path, manifest: Manifest, *, event: Event, run_id: str, attempt_uuid: str, error: str | None = None
) -> None:
    """Appends one event about the building of an artifact to `lineage/events.jsonl`.

    `attempt_uuid` is new for every attempt and the same for its start and its end; it may lack dashes. For `start`
    and `fail` only identity, inputs and configuration of the manifest count: no output exists. `error` is the
    message of a failure.
    """
    from openlineage.client.serde import Serde  # slow to import, and only builders need it

    line = Serde.to_json(_run_event(home, manifest, event, run_id, str(uuid.UUID(attempt_uuid)), error))
    # On a shared disk, where two machines may append at the same time, each has a file of its own.
    name = f"events-{socket.gethostname()}.jsonl" if is_shared(home) else "events.jsonl"
    _append(home / "lineage" / name, line)


def _run_event(home: Path, manifest: Manifest, event: Event, run_id: str, attempt: str, error: str | None) -> RunEvent:
    from openlineage.client import event_v2 as ol
    from openlineage.client.facet_v2 import error_message_run, job_type_job, parent_run

    # The parent's id must be a UUID; this one is the same for every event of a run, in every process.
    flow_run = str(uuid.uuid5(uuid.NAMESPACE_URL, f"thinkless/run/{run_id}"))
    run_facets: dict[str, Any] = {
        "parent": parent_run.ParentRunFacet(
            run=parent_run.Run(runId=flow_run), job=parent_run.Job(namespace=NAMESPACE, name=FLOW_JOB)
        )
    }
    if error is not None:
        run_facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(message=error, programmingLanguage="python")
    job_type = job_type_job.JobTypeJobFacet(processingType="BATCH", integration="PREFECT", jobType="TASK")
    return ol.RunEvent(
        eventType=ol.RunState[event.upper()],
        eventTime=datetime.now(UTC).isoformat(),
        run=ol.Run(runId=attempt, facets=run_facets),
        job=ol.Job(namespace=NAMESPACE, name=manifest.label, facets={"jobType": job_type}),
        producer=PRODUCER,
        inputs=[_input(home, ref) for ref in manifest.inputs],
        outputs=[_output(home, manifest)] if event == "complete" else [],
    )


def _input(home: Path, ref: InputRef) -> InputDataset:
    from openlineage.client.event_v2 import InputDataset

    return InputDataset(namespace="file", name=_name(home, ref.stage, ref.key), facets=_version(ref.digest))


def _output(home: Path, manifest: Manifest) -> OutputDataset:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import (
        data_quality_assertions_dataset,
        output_statistics_output_dataset,
        schema_dataset,
    )

    facets = _version(manifest.digest)
    tables = sorted({file.table for file in manifest.files if file.table in TABLES})
    if tables:
        facets["schema"] = schema_dataset.SchemaDatasetFacet(fields=[_table_field(table) for table in tables])
    if manifest.checks:
        facets["dataQualityAssertions"] = data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
            assertions=[
                data_quality_assertions_dataset.Assertion(
                    assertion=f"{check.suite}.{check.expectation}", success=check.success, actual=check.observed
                )
                for check in manifest.checks
            ]
        )
    statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
        rowCount=manifest.rows, size=sum(file.num_bytes for file in manifest.files), fileCount=len(manifest.files)
    )
    return OutputDataset(
        namespace="file",
        name=_name(home, manifest.stage, manifest.key),
        facets=facets,
        outputFacets={"outputStatistics": statistics},
    )


def _table_field(table: str) -> Any:
    from openlineage.client.facet_v2 import schema_dataset

    columns = [
        schema_dataset.SchemaDatasetFacetFields(name=field.name, type=str(field.type))
        for field in arrow_schema(TABLES[table])
    ]
    return schema_dataset.SchemaDatasetFacetFields(name=table, type="table", fields=columns)


def _version(digest: str) -> dict[str, Any]:
    from openlineage.client.facet_v2 import dataset_version_dataset

    return {"version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=digest)}


def _name(home: Path, stage: str, key: str) -> str:
    return (home / "artifacts" / stage / key).as_posix()


def _append(path: Path, line: str) -> None:
    """Adds a line that is whole, also after a crash that left half a line before it."""
    with file_lock(path.with_suffix(".lock"), owner="a lineage writer"), writing(path), path.open("ab+") as stream:
        if stream.tell() > 0:
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":
                stream.write(b"\n")
        stream.write(line.encode() + b"\n")
