"""Runs each stage as a flow run of its own deployment, in that one's work pool: a GPU is held only by who needs it.

plan, not in the store -> flow run thinkless/STAGE (a sub-flow) -> (pilot: a worker for it is asked of Slurm)
                       -> its last state -> artifact in the shared home, or in the remote

THINKLESS_STAGES=deployments in the environment of thinkless/full turns it on: prefect.cluster.yaml does.
"""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Cancelling

from flows.recipe import AnyPlan
from flows.request import RunRequest
from infra.settings import Settings
from schemas.artifact import Artifact
from schemas.errors import ConfigError, WorkerError
from tasks.running.context import RunContext
from tasks.running.find import find_or_fetch
from tasks.running.same_code import save_asked_plan

logger = logging.getLogger("thinkless")
POLL_SECONDS = 2.0
SECONDS_BETWEEN_LINES = 60.0
"""Between two lines that say that a stage still waits for a worker, or for the server."""
VISIBLE_SECONDS = 60.0
"""The longest that a shared disk may take until it shows what another machine has published."""


@dataclass
class DeploymentBuilder:
    """Has each stage that is not done built by its deployment."""

    request: RunRequest
    parameters: Mapping[str, Any]
    """Parameters of this flow run, which those of the stages are made from."""
    keys: dict[str, str] = field(default_factory=dict)
    """Label -> key, as planned here; a stage that comes to another key has other code."""
    asked: set[str] = field(default_factory=set)
    """Stages whose deployment has run: the one of `teach` builds both of its artifacts."""

    def __call__(self, context: RunContext, plan: AnyPlan, done: Artifact | None) -> Artifact:
        """The artifact of a plan; raises WorkerError with the words of its flow run if that fails."""
        self.keys[plan.label] = plan.key
        if done is None and plan.stage in self.asked:
            done = context.store.find(plan.stage, plan.key)
        if done is not None:
            return done
        save_asked_plan(context, plan)
        run = self._start(plan)
        try:
            ended = _wait(run, plan)
        except BaseException:
            _cancel(run.id)
            raise
        self.asked.add(plan.stage)
        state = ended.state
        if state is None or not state.is_completed():
            said = "without a state" if state is None else f"as {state.name}: {state.message or 'it says no more'}"
            raise WorkerError(f"{plan.label}: flow run {run.name} of thinkless/{plan.stage} ended {said}")
        return _published(context, plan)

    def _start(self, plan: AnyPlan) -> FlowRun:
        wanted = {
            **self.parameters,
            "until": None,
            "only": plan.stage,
            "refresh": [plan.stage] if plan.stage in self.request.refresh else [],
            "expect": [f"{label}={key}" for label, key in self.keys.items()],
        }
        try:
            started = run_deployment(f"thinkless/{plan.stage}", parameters=wanted, timeout=0, as_subflow=True)
        except (PrefectHTTPStatusError, ValueError) as error:
            raise ConfigError(
                f"{plan.label}: no flow run of deployment thinkless/{plan.stage} can be made ({error}); register it: "
                "prefect --no-prompt deploy --prefect-file prefect.cluster.yaml --all"
            ) from error
        run = cast(FlowRun, started)  # a coroutine only where an event loop runs
        logger.info("%-12s flow run %s waits in work pool %s", plan.label, run.name, run.work_pool_name)
        _send_pilot(self.request.settings, str(run.work_pool_name))
        return run


def _send_pilot(settings: Settings, pool: str) -> None:
    """Ask for a worker of this pool, where the settings say how."""
    if settings.pilot is None:
        return
    command = settings.pilot.replace("{pool}", pool)
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(
            f"THINKLESS_PILOT: `{command}` ended with exit code {done.returncode}: {done.stderr or done.stdout}; "
            "expected a command that starts a worker of that pool, such as sbatch"
        )
    logger.info("%-12s a worker is asked for: %s", "", done.stdout.strip() or command)


def _wait(run: FlowRun, plan: AnyPlan) -> FlowRun:
    """Return when a flow run has ended. A server that is away for a while is waited for."""
    since = said = time.monotonic()
    began = False
    while True:
        now = time.monotonic()
        try:
            with get_client(sync_client=True) as client:
                found = client.read_flow_run(run.id)
        except httpx.HTTPError as error:
            if now - said > SECONDS_BETWEEN_LINES:
                logger.warning("%s: the Prefect server does not answer (%s); waiting for it", plan.label, error)
                said = now
            time.sleep(POLL_SECONDS)
            continue
        if found.state is not None and found.state.is_final():
            return found
        if not began and found.state is not None and found.state.is_running():
            began = True
            logger.info("%-12s began after %.0f s", plan.label, now - since)
        if not began and now - said > SECONDS_BETWEEN_LINES:
            name = found.state.name if found.state is not None else "without a state"
            logger.warning(
                "%s: no worker of pool %s has begun it for %.0f s (%s); is there one (`prefect work-pool inspect`), "
                "and a node free (`squeue`)?",
                plan.label, found.work_pool_name, now - since, name,
            )  # fmt: skip
            said = now
        time.sleep(POLL_SECONDS)


def _cancel(flow_run_id: UUID) -> None:
    """Have its worker end a flow run whose asker ends."""
    with suppress(httpx.HTTPError), get_client(sync_client=True) as client:  # why the asker ends matters more
        client.set_flow_run_state(flow_run_id, Cancelling(message="the flow that asked for it has ended"))


def _published(context: RunContext, plan: AnyPlan) -> Artifact:
    """What the stage's flow run has published, as soon as this machine sees it."""
    end = time.monotonic() + VISIBLE_SECONDS
    while True:
        found = context.store.find(plan.stage, plan.key) or find_or_fetch(context, plan)
        if found is not None:
            return found
        if time.monotonic() > end:
            raise WorkerError(
                f"{plan.label}: its flow run is completed, and neither {context.settings.home} nor a remote has "
                f"{plan.stage}/{plan.key}; expected one home on a disk that all workers see (THINKLESS_HOME, the same "
                "path everywhere), or THINKLESS_REMOTE on every worker"
            )
        time.sleep(POLL_SECONDS)
