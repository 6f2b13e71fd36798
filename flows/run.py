"""One run of the flow: which stages are hits, which are built, and the record of it.

profile + overrides -> configuration -> run record -> stage after stage (store first, Prefect as its mirror) -> record
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import Task
from prefect.client.schemas.objects import TaskRun
from prefect.states import State

from flows.request import check_request
from flows.temporary_server import guard_temporary_servers
from infra.runs import RunRecord, StageUse, add_stage, finish_run, save_run
from infra.runs import start_run as start_record
from schemas.artifact import Artifact
from schemas.configs.pipeline import STAGES, PipelineConfig
from schemas.errors import MissingArtifactError, Transient
from tasks.context import RunContext, StagePlan
from tasks.stage import find_done

logger = logging.getLogger("thinkless")


class LastStageDone(Exception):  # noqa: N818 - no error: everything that was asked for is there
    """Ends a run that was asked to stop before the last stage."""


@dataclass
class StageRunner:
    """Runs stages one by one and remembers what came out."""

    config: PipelineConfig
    context: RunContext
    until: str | None
    only: str | None
    record: RunRecord
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    """By label, in the order of the pipeline."""

    def save(self) -> None:
        """Write the run's record and make it known to the catalog."""
        save_run(self.context.settings.home, self.record)
        self.context.catalog.record_run(self.record)

    def __call__(self, task: Task[..., Artifact], plan: StagePlan[Any]) -> Artifact:
        """The artifact of one stage, from the store or built now.

        Raises LastStageDone behind the last stage asked for, MissingArtifactError where `only` forbids to build.
        """
        last = self.only or self.until
        if last is not None and STAGES.index(plan.stage) > STAGES.index(last):
            raise LastStageDone
        started = time.monotonic()
        done = find_done(self.context, plan)
        if done is None and self.only not in (None, plan.stage):
            raise MissingArtifactError(
                f"stage {plan.stage} ({plan.key}) is not in the store, and --only {self.only} builds nothing else; "
                f"run --until {self.only} instead"
            )
        mirrored = task.with_options(
            task_run_name=plan.label,
            refresh_cache=done is None,
            retries=2,
            retry_delay_seconds=[2, 10],
            retry_condition_fn=_is_transient,
        )
        built = mirrored(self.context, plan)
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
        word = "cached" if cached else "built"
        logger.info(
            "%-12s %-6s %s  %d rows  %.1f s",
            plan.label,
            word,
            plan.key[:8],
            artifact.rows,
            time.monotonic() - started,
        )
        return artifact


def _is_transient(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed stage is worth trying again."""
    return isinstance(state.result(raise_on_failure=False), Transient)


@contextmanager
def start_run(
    profile: str, *, overrides: Sequence[str], until: str | None, only: str | None, refresh: Sequence[str]
) -> Iterator[StageRunner]:
    """Open a run's record, and close it however the run ends."""
    config, settings = check_request(profile, overrides=overrides, until=until, only=only, refresh=refresh)
    run_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    runner = StageRunner(
        config=config,
        context=RunContext(run_id=run_id, profile=config.profile, settings=settings, refresh=frozenset(refresh)),
        until=until,
        only=only,
        record=start_record(run_id, profile=config.profile, config=config.model_dump(mode="json")),
    )
    logger.setLevel(logging.INFO)  # a worker's process sets nothing up; its lines go to the run's page in the UI
    guard_temporary_servers()
    runner.save()
    logger.info("run %s  profile %s  store %s", run_id, config.profile, settings.home)
    try:
        yield runner
    except LastStageDone:
        pass
    except BaseException as error:
        runner.record = finish_run(runner.record, error=f"{type(error).__name__}: {error}")
        runner.save()
        raise
    runner.record = finish_run(runner.record)
    runner.save()
