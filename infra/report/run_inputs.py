"""From artifacts to the inputs of a report, for a run that is finished and for one that is not.

(stage, key) of a run's artifacts -> manifests -> their files with a table -> ReportInputs -> page.py
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from infra.disk import write_whole, writing
from infra.report.data.evidence import write_dropped_rows
from infra.report.data.inputs import TABLES, ReportInputs, Unfinished
from infra.report.page import render_report
from infra.runs import RunRecord
from infra.store.artifact_store import ArtifactStore
from infra.store.workspace import SCRATCH_NAME
from schemas.configs.pipeline import STAGES
from schemas.configs.report import ReportConfig
from schemas.errors import MissingArtifactError

FOLDER = "reports"
"""Where pages of unfinished runs lie, beside the artifacts."""

_LABELS = {"teach": ("teach-think", "teach-short")}
"""Stages with more than one artifact in a run -> the labels of these."""


def inputs_of_artifacts(
    store: ArtifactStore,
    artifacts: Iterable[tuple[str, str]],
    *,
    config: ReportConfig,
    profile: str,
    run_id: str,
    to_artifacts: str,
    unfinished: Unfinished | None = None,
) -> ReportInputs:
    """What a report of these artifacts, each a (stage, key), is made from.

    to_artifacts: relative link from the page's folder to that of the artifacts. Raises MissingArtifactError if one
    of them is not in the store.
    """
    manifests = tuple(store.manifest(stage, key) for stage, key in artifacts)
    tables: dict[str, tuple[Path, ...]] = {}
    for manifest in manifests:
        for file in manifest.files:
            name = f"{manifest.stage}_metrics" if file.table == "metrics" else file.table
            if name in TABLES:
                tables[name] = (*tables.get(name, ()), store.path(manifest.stage, manifest.key) / file.name)
    return ReportInputs(
        title=config.title,
        profile=profile,
        run_id=run_id,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        tables=tables,
        manifests=manifests,
        validation_docs={
            (
                manifest.key,
                check.suite,
            ): f"{to_artifacts}/{manifest.stage}/{manifest.key}/validation/{check.suite}/index.html"
            for manifest in manifests
            for check in manifest.checks
        },
        examples=config.examples,
        unfinished=unfinished,
    )


def write_unfinished_report(
    store: ArtifactStore, record: RunRecord, *, at_work: Mapping[str, str] | None = None
) -> Path:
    """A page of what a run has reached so far, in `reports/<run_id>.html` of its home, beside it the rows left out.

    at_work: stage -> key of stages that were begun; the logs in their workspaces are shown as far as they go. An
    artifact that has been removed since counts as missing. Raises StoreError if the page cannot be written.
    """
    logs = {stage: found for stage, key in (at_work or {}).items() if (found := _logs(store, stage, key))}
    there: list[tuple[str, str]] = []
    gone: list[tuple[str, str]] = []
    for use in record.stages:
        if use.stage in STAGES and use.stage != "report":
            (there if _is_there(store, use.stage, use.key) else gone).append((use.stage, use.key))
    built, removed = {store.manifest(*name).label for name in there}, {stage for stage, _ in gone}
    missing = tuple(
        f"{label} ({'built, and removed from the store since' if stage in removed else 'not built'}"
        f"{'; its log so far is shown' if stage in logs else ''})"
        for stage in STAGES
        for label in _LABELS.get(stage, (stage,))
        if stage != "report" and label not in built
    )
    inputs = inputs_of_artifacts(
        store,
        there,
        config=_report_config(record),
        profile=record.profile,
        run_id=record.run_id,
        to_artifacts="../artifacts",
        unfinished=Unfinished(record.status, record.error, missing),
    )
    begun = {name: files for found in logs.values() for name, files in found.items()}
    path = store.home / FOLDER / f"{record.run_id}.html"
    inputs = replace(inputs, tables={**begun, **inputs.tables}, dropped_file=f"{record.run_id}-dropped.csv")
    page = render_report(inputs)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_dropped_rows(inputs, path.with_name(inputs.dropped_file))
    write_whole(path, page.encode())
    return path


def _report_config(record: RunRecord) -> ReportConfig:
    """The report's table of the run's configuration, as far as this version knows its keys."""
    table = record.config.get("report")
    known = table.items() if isinstance(table, dict) else ()
    return ReportConfig.model_validate({key: value for key, value in known if key in ReportConfig.model_fields})


def _logs(store: ArtifactStore, stage: str, key: str) -> dict[str, tuple[Path, ...]]:
    """Tables that a stage has begun to log in its workspace."""
    workspace = store.workspace(stage, key)
    if workspace is None:
        return {}
    names = {"metrics": f"{stage}_metrics", "rollouts": "rollouts", "guard_events": "guard_events"}
    found = {name: workspace / SCRATCH_NAME / f"{file}.jsonl" for file, name in names.items() if name in TABLES}
    return {name: (path,) for name, path in found.items() if path.is_file()}


def _is_there(store: ArtifactStore, stage: str, key: str) -> bool:
    try:
        store.manifest(stage, key)
    except MissingArtifactError:
        return False
    return True
