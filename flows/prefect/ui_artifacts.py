"""Artifacts that Prefect's UI shows for a finished run: the result table and a link to the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq
from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.context import FlowRunContext

from schemas.artifact import Artifact
from schemas.records.eval_summary import EvalSummary
from tasks.write_report import REPORT_FILE


def publish_artifacts(artifacts: Mapping[str, Artifact]) -> None:
    """Create the artifacts of the current flow run; does nothing outside a flow run."""
    if FlowRunContext.get() is None:
        return
    if "evaluate" in artifacts:
        table = pq.read_table(Path(artifacts["evaluate"].path) / EvalSummary.FILE)
        rounded = [{k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()} for row in table.to_pylist()]
        create_table_artifact(table=rounded, key="result-table", description="Model x benchmark x mode")
    if "report" in artifacts:
        report = Path(artifacts["report"].path) / REPORT_FILE
        create_link_artifact(link=report.as_uri(), link_text="Report", key="report", description=str(report))
