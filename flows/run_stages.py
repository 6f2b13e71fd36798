"""One run: finds or builds each stage, and keeps the run record.

request -> run record -> stage after stage: the store first, then `build` -> record
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from flows.recipe import AnyPlan, stages_until
from flows.request import RunRequest
from infra.runs import RunRecord, StageUse, add_stage, finish_run, giving_signs, save_run, start_run
from schemas.artifact import Artifact, Manifest
from schemas.errors import MissingArtifactError
from tasks.running.context import RunContext
from tasks.running.find import find_or_fetch, version_changes, why_to_build
from tasks.running.same_code import refuse_another_key

logger = logging.getLogger("thinkless")

BuildStage = Callable[[RunContext, AnyPlan, Artifact | None], Artifact]
"""Builds a plan's artifact. The last argument is the artifact if the store already holds it, else None."""


@dataclass
class Recorder:
    """The record of one run. Every change is saved to its file; the catalog follows before and after each build."""

    context: RunContext
    record: RunRecord
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    """Label -> artifact, in the order of the pipeline."""
    found: list[tuple[Manifest, Path]] = field(default_factory=list)
    """Artifacts from the store that the catalog has not been told of; a crash may have kept one out of it."""

    def add(self, plan: AnyPlan, artifact: Artifact, *, seconds: float) -> None:
        """Record the artifact of one stage, and log a line about it."""
        manifest = self.context.store.manifest(artifact.stage, artifact.key)
        # Another run may have built it while this one waited for the lock. That counts as a hit.
        cached = manifest.run_id != self.context.run_id
        self.artifacts[plan.label] = artifact
        use = StageUse(stage=plan.stage, key=artifact.key, cached=cached, kept=artifact.kept)
        self.record = add_stage(self.record, use)
        if cached:
            self.found.append((manifest, Path(artifact.path)))
            save_run(self.context.settings.home, self.record)
        else:
            self.save()
        if self.context.shared is not None:
            self.context.shared.give(artifact, label=plan.label)
        rows = "1 row" if artifact.rows == 1 else f"{artifact.rows} rows"
        logger.info("%-12s %-6s %s  %s  %.1f s", plan.label, use.word, artifact.key[:8], rows, seconds)
        counted = ", ".join(f"{reason} {rows}" for reason, rows in manifest.drops.items() if rows)
        if counted and not cached:
            logger.info("%-12s left out or marked, by reason: %s (tables drops, dropped)", plan.label, counted)
        if cached:
            for package, (made_with, installed) in version_changes(manifest).items():
                logger.info(
                    "%-12s made with %s %s, and %s is installed; --same-versions rebuilds it",
                    plan.label, package, made_with, installed,
                )  # fmt: skip

    def save(self) -> None:
        """Write the record to its file and to the catalog."""
        save_run(self.context.settings.home, self.record)
        self.context.catalog.record_run(self.record, found=self.found)
        self.found.clear()


@contextmanager
def recorded(
    context: RunContext, config: dict[str, JsonValue], *, study: str | None = None, flow_run_id: str | None = None
) -> Iterator[Recorder]:
    """Open a run's record, and close it however the run ends."""
    record = start_run(context.run_id, profile=context.profile, config=config, study=study, flow_run_id=flow_run_id)
    recorder = Recorder(context, record)
    recorder.save()
    logger.setLevel(logging.INFO)  # a Prefect worker sets no level; its lines go to the run's page in the UI
    logger.info("run %s  profile %s  store %s", context.run_id, context.profile, context.settings.home)
    try:
        with giving_signs(context.settings.home, context.run_id):
            yield recorder
    except BaseException as error:
        recorder.record = finish_run(recorder.record, error=error)
        recorder.save()
        raise
    recorder.record = finish_run(recorder.record)
    recorder.save()
    if context.shared is not None:
        context.shared.give_run(recorder.record)


def _recorded(context: RunContext, request: RunRequest) -> AbstractContextManager[Recorder]:
    config = request.config.model_dump(mode="json")
    return recorded(context, config, study=request.study, flow_run_id=request.flow_run_id)


def run_stages(request: RunRequest, build: BuildStage) -> Recorder:
    """Find or build every requested stage and record the run.

    Raises MissingArtifactError if a missing stage may not be built because of `only`.
    """
    context = request.new_context()
    with _recorded(context, request) as recorder:
        for stage in stages_until(request.last):
            started = time.monotonic()
            plan = stage.plan(request.config, recorder.artifacts)
            refuse_another_key(context, plan, request.expect)
            done = find_or_fetch(context, plan)
            if done is None:
                refuse_unless_asked_for(request, plan)
                because = why_to_build(context, plan, context.store.manifests()).short()
                logger.info("%-12s to be built, because %s", plan.label, because)
                if recorder.found:
                    recorder.save()
            built = build(context, plan, done)
            # Prefect's cached reference may name a directory of another machine or an older path: use the store's.
            artifact = done or context.store.find(plan.stage, plan.key) or built
            recorder.add(plan, artifact, seconds=time.monotonic() - started)
            stage.refuse(request.config, artifact)
    return recorder


def run_from_store(request: RunRequest) -> Mapping[str, Artifact] | None:
    """Run without building, if every stage is in the store, and record the run. Returns None and records nothing if a
    stage is missing.

    Raises MissingArtifactError if the missing stage may not be built because of `only`.
    """
    context = request.new_context()
    hits: list[tuple[AnyPlan, Artifact, float]] = []
    artifacts: dict[str, Artifact] = {}
    for stage in stages_until(request.last):
        started = time.monotonic()
        plan = stage.plan(request.config, artifacts)
        done = find_or_fetch(context, plan)
        if done is None:
            refuse_unless_asked_for(request, plan)
            return None
        artifacts[plan.label] = done
        hits.append((plan, done, time.monotonic() - started))
    with _recorded(context, request) as recorder:
        for plan, artifact, seconds in hits:
            recorder.add(plan, artifact, seconds=seconds)
    return recorder.artifacts


def refuse_unless_asked_for(request: RunRequest, plan: AnyPlan) -> None:
    """Raise MissingArtifactError if a stage has to be built and `only` names another stage."""
    if request.only not in (None, plan.stage):
        raise MissingArtifactError(
            f"stage {plan.stage} ({plan.key}) is not in the store, and --only {request.only} builds nothing else; "
            f"run --until {request.only} instead"
        )
