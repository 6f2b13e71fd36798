"""Flow runs on a Prefect server of the tests' own. Importing this takes ten seconds: see conftest.runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import Artifact, FlowRun, TaskRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events import Event
from prefect.events.filters import EventFilter, EventNameFilter, EventRelatedFilter
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.exceptions import PrefectHTTPStatusError
from prefect.flow_engine import run_flow
from prefect.logging import get_logger
from prefect.settings import PREFECT_HOME, PREFECT_LOCAL_STORAGE_PATH, temporary_settings
from prefect.states import Running
from prefect.testing.utilities import prefect_test_harness
from prefect.utilities.callables import get_call_parameters

from flows.prefect.pipeline import thinkless as thinkless
from flows.prefect.stage_events import COLLAPSE as COLLAPSE
from flows.prefect.study_flow import thinkless_study as thinkless_study
from tests.integration.driver import LABELS


@contextmanager
def server(place: Path) -> Iterator[None]:
    """A server with a database and a result store of its own."""
    changed = {PREFECT_HOME: place, PREFECT_LOCAL_STORAGE_PATH: place / "storage"}
    with temporary_settings(updates=changed), prefect_test_harness(server_startup_timeout=400):
        yield


@dataclass(frozen=True)
class Recorded:
    """What the server knows about the newest flow run."""

    flow_run: FlowRun
    tasks: dict[str, TaskRun]
    artifacts: dict[str, Artifact]

    @property
    def states(self) -> dict[str, str]:
        """State name by task run, in the pipeline's order."""
        return {label: self.tasks[label].state_name or "" for label in LABELS if label in self.tasks}


def newest_run() -> Recorded:
    """Read the newest flow run back; the server hears of a task's last state a moment later: waits up to 2 min."""
    with get_client(sync_client=True) as client:
        (flow_run,) = client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)
        for _ in range(240):
            tasks = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id])))
            if all(task.state is not None and task.state.is_final() for task in tasks):
                break
            time.sleep(0.5)
        artifacts = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run.id]))
        )
    return Recorded(flow_run, {task.name: task for task in tasks}, {a.key or "": a for a in artifacts})


def events_of(recorded: Recorded, *prefixes: str, at_least: int) -> list[Event]:
    """Events of a flow run whose names begin so; the server writes them a moment after the run: waits up to 2 min."""
    wanted = EventFilter(
        event=EventNameFilter(prefix=list(prefixes)),
        related=EventRelatedFilter(id=[f"prefect.flow-run.{recorded.flow_run.id}"]),
    )
    found: list[Event] = []
    for _ in range(240):
        with get_client(sync_client=True) as client:
            found = list(client.read_events(wanted, limit=50).events)
        if len(found) >= at_least:
            break
        time.sleep(0.5)
    return found


def refusal(deployment: UUID, parameters: dict[str, object]) -> str:
    """What the server says against a run of a deployment with these parameters; empty if it takes them."""
    with get_client(sync_client=True) as client:
        try:
            client.create_flow_run_from_deployment(deployment, parameters=parameters)
        except PrefectHTTPStatusError as error:
            return str(error.response.json()["detail"])
    return ""


def run_as_a_worker(**parameters: object) -> object:
    """The flow as a worker's process runs it, in which the engine logs what ends it; raises what the flow raises."""
    whole = get_call_parameters(thinkless.fn, (), parameters)
    return run_flow(thinkless, parameters=whole, error_logger=get_logger("flow_runs"))


def flow_run_that_is_running() -> UUID:
    """The id of a flow run that the server takes for running, and that nothing runs."""
    with get_client(sync_client=True) as client:
        return client.create_flow_run(thinkless, parameters={}, state=Running()).id


def state_of(flow_run: UUID) -> str | None:
    """The name of a flow run's state."""
    with get_client(sync_client=True) as client:
        return client.read_flow_run(flow_run).state_name


def num_flow_runs() -> int:
    """How many flow runs the server knows."""
    with get_client(sync_client=True) as client:
        return len(client.read_flow_runs(limit=200))


def created_automation(table: dict[str, object]) -> Automation:
    """An automation as the server has it, after it was created there as `prefect automation create` does."""
    with get_client(sync_client=True) as client:
        return client.read_automation(client.create_automation(AutomationCore.model_validate(table)))
