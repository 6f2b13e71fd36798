"""Runs without Prefect: from the store alone where it holds everything, else built in this process.

request -> every stage found -> recorded as hits            (neither torch nor Prefect is imported)
request -> stage after stage through its plain `build`      (members of a study; `thinkless run --no-prefect`)
"""

from __future__ import annotations

import importlib
import logging
import time
from pathlib import Path

from flows.recipe import AnyPlan, walk
from flows.request import RunRequest
from flows.run import StageRunner, log_run, log_stage, refuse_unless_asked_for, run_stages
from infra.runs import RunRecord, StageUse, add_stage, finish_run, save_run, start_run
from schemas.artifact import Artifact
from schemas.errors import Transient
from tasks.running.context import RunContext, find_done

logger = logging.getLogger("thinkless")

RETRY_PAUSES_SECONDS = (2.0, 10.0)
"""Before the second and the third attempt at a stage that met a transient error; the same under Prefect."""


class NotInStore(Exception):  # noqa: N818 - no error: the answer to a question
    """A stage that was looked for has to be built."""


def run_directly(request: RunRequest) -> StageRunner:
    """Settle every stage asked for in this process, without Prefect."""
    return run_stages(request, build_here)


def build_here(context: RunContext, plan: AnyPlan, done: Artifact | None) -> Artifact:
    """Build a stage by calling its module's `build`; transient errors are tried again."""
    if done is not None:
        return done
    from tasks.running.stage import run_stage  # slow, and only needed to build

    build = importlib.import_module(plan.module).build
    for pause in RETRY_PAUSES_SECONDS:
        try:
            return run_stage(context, plan, build)
        except Transient as error:
            logger.warning("%s: %s; trying again in %g s", plan.label, error, pause)
            time.sleep(pause)
    return run_stage(context, plan, build)


def run_from_store(request: RunRequest) -> dict[str, Artifact] | None:
    """A run whose stages are all in the store, recorded like any other; None, and no trace, where one is not.

    Raises MissingArtifactError where `only` forbids to build what is missing.
    """
    context = request.new_context()
    record = start_run(context.run_id, profile=context.profile, config=request.config.model_dump(mode="json"))
    hits: list[tuple[AnyPlan, Artifact, float]] = []

    def settle(plan: AnyPlan) -> Artifact:
        started = time.monotonic()
        done = find_done(context, plan)
        if done is None:
            refuse_unless_asked_for(request, plan)
            raise NotInStore
        hits.append((plan, done, time.monotonic() - started))
        return done

    try:
        artifacts = walk(request.config, settle, last=request.last)
    except NotInStore:
        return None
    log_run(context)
    for plan, artifact, seconds in hits:
        record = add_stage(record, StageUse(stage=plan.stage, key=plan.key, cached=True))
        log_stage(plan, artifact, cached=True, seconds=seconds)
    _put_on_record(context, finish_run(record), artifacts)
    return artifacts


def _put_on_record(context: RunContext, record: RunRecord, artifacts: dict[str, Artifact]) -> None:
    catalog = context.catalog
    for artifact in artifacts.values():  # a crash may have come between publishing and registering
        catalog.ensure(context.store.manifest(artifact.stage, artifact.key), Path(artifact.path))
    save_run(context.settings.home, record)
    catalog.record_run(record)
