"""Artifacts that Prefect's UI shows for a finished run: the result table, and the report's headline with its place."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.context import FlowRunContext

from infra.report.data.result_table import result_table_text
from infra.settings import Settings
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
        create_markdown_artifact(_report_in_markdown(artifacts), key="report", description="Result and report")


def _report_in_markdown(artifacts: Mapping[str, Artifact]) -> str:
    """The lines that a run prints at its end, and where the report is: a browser opens no file of another machine."""
    report = Path(artifacts["report"].path) / REPORT_FILE
    lines = ["# Result"]
    if "evaluate" in artifacts:
        table = result_table_text(Path(artifacts["evaluate"].path) / EvalSummary.FILE)
        lines += [f"```\n{table}\n```"]
    served = Settings.from_environment().report_url
    if served is not None:
        address = f"{served.rstrip('/')}/{artifacts['report'].key}/{REPORT_FILE}"
        lines += [f"[Report]({address})"]
    lines += [f"The report is the file `{report}` on {socket.gethostname()}; `thinkless report --open` opens it there."]
    return "\n\n".join(lines)
