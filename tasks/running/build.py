"""Runs one stage: looks it up, locks its key, builds, validates, publishes and records it.

plan -> hit in the store? -> lock of the key -> workspace (with the files of an interrupted build) -> build
     -> gates -> manifest -> publish -> catalog and lineage
The store alone decides whether a stage is done; Prefect's cache follows it.
"""

from __future__ import annotations

import logging
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from infra.catalog.openlineage_events import emit_events
from infra.disk import writing
from infra.store.artifact_store import ArtifactStore
from infra.store.load_card import CARD_NAME, write_load_card
from infra.store.workspace import SCRATCH_NAME
from schemas.artifact import Artifact, CheckResult
from schemas.base import tables_of
from schemas.configs.stage import StageConfig
from schemas.configs.training import TrainingConfig
from schemas.records.dropped import DroppedRow
from tasks.running.context import RunContext
from tasks.running.draft_manifest import draft_manifest
from tasks.running.event_files import EventFile
from tasks.running.find import find_done
from tasks.running.progress_display import stage_progress
from tasks.running.stage import StageOutcome, StagePlan
from tasks.running.step_writer import StepWriter
from tasks.running.trackers import TrackedRun

C = TypeVar("C", bound=StageConfig)
logger = logging.getLogger("thinkless")


def run_stage(context: RunContext, plan: StagePlan[C]) -> Artifact:
    """Build a stage, or return its artifact from the store.

    Raises ContractError if a gate fails; the rejected files are then moved aside and nothing is published.
    """
    asked_at = datetime.now(UTC)
    if done := find_done(context, plan):
        return done
    store = context.store
    replaced = store.find(plan.stage, plan.key) is not None
    with store.build_lock(plan.stage, plan.key, owner=f"run {context.run_id}", on_wait=logger.warning):
        done = store.find(plan.stage, plan.key)
        if done is not None:
            built_at = datetime.fromisoformat(store.manifest(plan.stage, plan.key).created_at)
            # Another run built it while this one waited for the lock; that is recent enough for --refresh too.
            if not replaced or built_at > asked_at:
                logger.info("%s was built by another run meanwhile", plan.label)
                return done
        return _build(store, context, plan, replace=replaced)


def _build(store: ArtifactStore, context: RunContext, plan: StagePlan[C], *, replace: bool) -> Artifact:
    home, attempt = context.settings.home, uuid.uuid4().hex
    draft = draft_manifest(context, plan)
    emit_events(home, draft, event="start", run_id=context.run_id, attempt_uuid=attempt)
    try:
        workspace = store.open_workspace(plan.stage, plan.key, owner=f"run {context.run_id}")
        with writing(workspace):
            clock = time.monotonic()
            with stage_progress(plan.label, writers=_step_writers(context, plan)) as progress:
                outcome = plan.builder.build(plan, context, workspace, progress)
            timings = {"build": round(time.monotonic() - clock, 3)}
            clock = time.monotonic()
            checks = _validate(store, workspace, outcome)
            timings["validate"] = round(time.monotonic() - clock, 3)
            tables = tables_of(*plan.builder.tables)
            write_load_card(workspace, stage=plan.stage, tables=tables)
            files = store.describe_files(workspace, roles={"validation/**": "log", CARD_NAME: "log"}, tables=tables)
        manifest = draft.model_copy(
            update={
                "digest": store.output_digest(files),
                "created_at": datetime.now(UTC).isoformat(),
                "rows": outcome.rows,
                "drops": {**_dropped_by_reason(workspace), **outcome.marked},
                "checks": checks,
                "timings": timings,
                "files": files,
            }
        )
        artifact = store.publish(workspace, manifest, replace=replace)
    except BaseException as error:
        emit_events(home, draft, event="fail", run_id=context.run_id, attempt_uuid=attempt, error=str(error))
        raise
    manifest = store.manifest(plan.stage, plan.key)  # another builder's, if that one was quicker
    context.catalog.register(manifest, Path(artifact.path))
    emit_events(home, manifest, event="complete", run_id=context.run_id, attempt_uuid=attempt)
    return artifact


def _step_writers(context: RunContext, plan: StagePlan[C]) -> list[StepWriter]:
    """All that the settings ask to write the numbers of every step to; trackers get those of a training."""
    settings, name = context.settings, f"{plan.label}-{plan.key[:8]}"
    writers: list[StepWriter] = []
    if settings.tensorboard is not None:
        writers.append(EventFile(settings.tensorboard / name))
    if isinstance(plan.config, TrainingConfig):
        writers += [TrackedRun(tracker, f"{context.profile}-{name}", plan.slice) for tracker in settings.trackers]
    return writers


def _dropped_by_reason(workspace: Path) -> dict[str, int]:
    """Number of rows in a stage's table `dropped` by their reason; empty if it has no such table."""
    file = workspace / DroppedRow.FILE
    if not file.is_file():
        return {}
    import pyarrow.parquet as pq  # a slow import, needed only to build

    counts = pq.read_table(file, columns=["reason"])["reason"].value_counts()
    return {count["values"]: count["counts"] for count in sorted(counts.to_pylist(), key=lambda c: c["values"])}


def _validate(store: ArtifactStore, workspace: Path, outcome: StageOutcome) -> tuple[CheckResult, ...]:
    """Run the stage's gates; if one fails, move the workspace aside and raise ContractError."""
    if not outcome.gates:
        return ()
    from infra.validation.gate import (  # a slow import, needed only to build
        contract_error,
        failing,
        validate_parquet,
    )

    checks = tuple(
        check
        for gate in outcome.gates
        for check in validate_parquet(
            workspace / gate.file,
            suite=gate.suite,
            docs_dir=workspace / "validation" / gate.suite.name,
            scratch=workspace / SCRATCH_NAME,
        )
    )
    if failing(checks):
        raise contract_error(checks, where=str(store.quarantine(workspace)))
    return checks
