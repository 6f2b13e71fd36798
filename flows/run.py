"""One run: which stages are hits, which are built, and the record of it.

request -> run record -> stage after stage (store first; whoever builds comes second) -> record
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flows.recipe import AnyPlan, walk
from flows.request import RunRequest
from infra.runs import RunRecord, StageUse, add_stage, finish_run, save_run, start_run
from schemas.artifact import Artifact
from schemas.errors import MissingArtifactError
from tasks.running.context import RunContext, find_done

logger = logging.getLogger("thinkless")

BuildStage = Callable[[RunContext, AnyPlan, Artifact | None], Artifact]
"""Makes sure that a plan's artifact is there; told what the store holds already."""


@dataclass
class StageRunner:
    """Settles stages one by one and remembers what came out."""

    request: RunRequest
    context: RunContext
    build: BuildStage
    record: RunRecord
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    """By label, in the order of the pipeline."""

    def save(self) -> None:
        """Write the run's record and make it known to the catalog."""
        save_run(self.context.settings.home, self.record)
        self.context.catalog.record_run(self.record)

    def __call__(self, plan: AnyPlan) -> Artifact:
        """The artifact of one stage, from the store or built now.

        Raises MissingArtifactError where `only` forbids to build.
        """
        started = time.monotonic()
        done = find_done(self.context, plan)
        if done is None:
            refuse_unless_asked_for(self.request, plan)
        built = self.build(self.context, plan, done)
        # Prefect's copy of the reference may name a directory of another machine or time: the store's word counts.
        store = self.context.store
        artifact = done or store.find(plan.stage, plan.key) or built
        manifest = store.manifest(plan.stage, plan.key)
        # Another run may have built it while this one waited for its lock: a hit like any other.
        cached = manifest.run_id != self.context.run_id
        if cached:  # a crash may have come between publishing and registering
            self.context.catalog.ensure(manifest, Path(artifact.path))
        self.artifacts[plan.label] = artifact
        self.record = add_stage(self.record, StageUse(stage=plan.stage, key=plan.key, cached=cached))
        self.save()
        log_stage(plan, artifact, cached=cached, seconds=time.monotonic() - started)
        return artifact


def refuse_unless_asked_for(request: RunRequest, plan: AnyPlan) -> None:
    """Raises MissingArtifactError for a stage that has to be built while `only` names another one."""
    if request.only not in (None, plan.stage):
        raise MissingArtifactError(
            f"stage {plan.stage} ({plan.key}) is not in the store, and --only {request.only} builds nothing else; "
            f"run --until {request.only} instead"
        )


def log_stage(plan: AnyPlan, artifact: Artifact, *, cached: bool, seconds: float) -> None:
    """One line for one settled stage."""
    word = "cached" if cached else "built"
    logger.info("%-12s %-6s %s  %d rows  %.1f s", plan.label, word, plan.key[:8], artifact.rows, seconds)


def log_run(context: RunContext) -> None:
    """The line a run begins with."""
    logger.setLevel(logging.INFO)  # a worker's process sets nothing up; its lines go to the run's page in the UI
    logger.info("run %s  profile %s  store %s", context.run_id, context.profile, context.settings.home)


def run_stages(request: RunRequest, build: BuildStage) -> StageRunner:
    """Settle every stage asked for, on record; returns the runner with all that came out."""
    with recorded_run(request, build) as runner:
        walk(request.config, runner, last=request.last)
    return runner


@contextmanager
def recorded_run(request: RunRequest, build: BuildStage) -> Iterator[StageRunner]:
    """Open a run's record, and close it however the run ends."""
    context = request.new_context()
    config = request.config.model_dump(mode="json")
    record = start_run(context.run_id, profile=context.profile, config=config)
    runner = StageRunner(request, context, build, record)
    runner.save()
    log_run(context)
    try:
        yield runner
    except BaseException as error:
        runner.record = finish_run(runner.record, error=f"{type(error).__name__}: {error}")
        runner.save()
        raise
    runner.record = finish_run(runner.record)
    runner.save()
