"""Builds without Prefect: each stage in this process (members of a study; `thinkless run --no-prefect`)."""

from __future__ import annotations

import logging
import time

from flows.recipe import AnyPlan
from flows.request import RunRequest
from flows.run_stages import Recorder, run_stages
from schemas.artifact import Artifact
from schemas.errors import Transient
from tasks.running.context import RunContext

logger = logging.getLogger("thinkless")

RETRY_PAUSES_SECONDS = (2.0, 10.0)
"""Pauses before the second and the third attempt at a stage that met a transient error. Prefect uses them too."""


def run_directly(request: RunRequest) -> Recorder:
    """Find or build every requested stage in this process, without Prefect."""
    return run_stages(request, build_here)


def build_here(context: RunContext, plan: AnyPlan, done: Artifact | None) -> Artifact:
    """Build a stage unless it is done; retry after a transient error."""
    if done is not None:
        return done
    from tasks.running.build import run_stage  # a slow import, needed only to build

    for pause in RETRY_PAUSES_SECONDS:
        try:
            return run_stage(context, plan)
        except Transient as error:
            logger.warning("%s: %s; trying again in %g s", plan.label, error, pause)
            time.sleep(pause)
    return run_stage(context, plan)
