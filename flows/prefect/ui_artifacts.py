"""Artifacts that Prefect's UI shows for a finished run: the result table, and the report's headline and picture."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.context import FlowRunContext

from infra.report.data.result_table import result_table_markdown
from infra.report.excerpt import excerpt
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
        results = result_table_markdown(Path(artifacts["evaluate"].path) / EvalSummary.FILE)
        served, page = Settings.from_environment().report_url, Path(artifacts["report"].path) / REPORT_FILE
        address = served and f"{served.rstrip('/')}/{artifacts['report'].key}/{REPORT_FILE}"
        shown = in_markdown(page, results=results, address=address)
        create_markdown_artifact(shown, key="report", description="Result and report")


def in_markdown(page: Path, *, results: str, address: str | None = None) -> str:
    """The headline and main picture of a page, its results, and where it is: a browser opens no file of another
    machine, so `address` is where it is served, if it is.

    The picture is a data URI, which Prefect's UI shows; its experimental V2 UI leaves the picture out.
    """
    place = f"The page is the file `{page}` on {socket.gethostname()}."
    if address:
        place = f"[Report]({address}), there from the file `{page}`."
    return "\n\n".join([*excerpt(page.read_text(encoding="utf-8")), results, place])
