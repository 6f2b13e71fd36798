"""The Prefect flow: runs the recipe of flows/recipe.py, each stage as a task run.

profile + overrides -> request -> each stage: found in the store or built, as a Prefect task -> the UI
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from prefect import Task, flow, task
from prefect.cache_policies import CacheKeyFnPolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.runtime import flow_run

from flows.direct import RETRY_PAUSES_SECONDS
from flows.prefect.temporary_server import guard_temporary_servers
from flows.prefect.ui_artifacts import publish_artifacts
from flows.recipe import AnyPlan, stage_names
from flows.request import check_request
from flows.run_stages import run_stages
from schemas.artifact import Artifact
from schemas.errors import Transient
from tasks.running.build import run_stage
from tasks.running.context import RunContext

MAX_NAME = 200
"""Characters of a flow run's name."""
if TYPE_CHECKING:
    StageName = str
else:
    StageName = Literal[stage_names()]
    """The form of a deployment offers the stages' names."""


@task(
    name="stage",
    cache_policy=CacheKeyFnPolicy(cache_key_fn=lambda _, inputs: f"{inputs['plan'].stage}-{inputs['plan'].key}"),
    persist_result=True,
    result_serializer="json",
)
def stage_task(context: RunContext, plan: AnyPlan) -> Artifact:
    """Build one stage. Prefect's cache uses the same key, but the store alone decides whether a stage is done."""
    return run_stage(context, plan)


def _flow_run_name() -> str:
    """Profile, what was asked for, and what was changed: `smollm2, until sft, rl.gamma=0.3`."""
    given = flow_run.parameters
    options = [f"{word} {given[word]}" for word in ("until", "only") if given.get(word)]
    rebuilt = [f"refresh {' '.join(given['refresh'])}"] if given.get("refresh") else []
    return ", ".join([given["profile"], *options, *rebuilt, *(given.get("overrides") or [])])[:MAX_NAME]


@flow(name="thinkless", flow_run_name=_flow_run_name, log_prints=False, persist_result=False)
def thinkless(
    profile: str = "tiny",
    overrides: list[str] | None = None,
    until: StageName | None = None,
    only: StageName | None = None,
    refresh: list[StageName] | None = None,
    keep: list[StageName] | None = None,
    same_versions: bool = False,
) -> Mapping[str, str]:
    """Run the pipeline and return the keys of its artifacts by stage.

    Args:
        profile: A shipped profile, such as tiny or smollm2, or the path of a TOML file.
        overrides: Keys to change, as KEY=VALUE, for example rl.gamma=0.3; docs/reference.md lists them all.
        until: Stop after this stage.
        only: Build this stage alone, from what the store holds.
        refresh: Rebuild these stages even if the store has them.
        keep: Take the newest artifact of these stages although their sources changed.
        same_versions: Rebuild what other versions of torch, transformers, vllm or math-verify made.
    """
    request = check_request(
        profile,
        overrides=overrides or (),
        until=until,
        only=only,
        refresh=refresh or (),
        keep=keep or (),
        same_versions=same_versions,
        flow_run_id=flow_run.id,
    )
    guard_temporary_servers()
    artifacts = run_stages(request, TaskBuilder()).artifacts
    publish_artifacts(artifacts)
    return {label: artifact.key for label, artifact in artifacts.items()}


@dataclass
class TaskBuilder:
    """Runs each stage as a task that waits for the tasks of its inputs, so that the UI draws arrows between them.

    If the store has the artifact, Prefect's cache answers, so that the UI shows a hit.
    """

    states: dict[str, State[Any]] = field(default_factory=dict)
    """Key of an artifact -> last state of the task that found or built it."""

    def __call__(self, context: RunContext, plan: AnyPlan, done: Artifact | None) -> Artifact:
        """Run one stage's task; raises what the stage raised."""
        if done is not None and done.key != plan.key:  # kept by --keep: Prefect's cache has no entry under this key
            return done
        named = stage_task.with_options(
            name=plan.stage,
            task_run_name=plan.label,
            refresh_cache=done is None,
            retries=len(RETRY_PAUSES_SECONDS),
            retry_delay_seconds=list(RETRY_PAUSES_SECONDS),
            retry_condition_fn=_is_transient,
        )
        before = [self.states[artifact.key] for artifact in plan.inputs if artifact.key in self.states]
        state = named(context, plan, return_state=True, wait_for=before)
        self.states[plan.key] = state
        built: Artifact = state.result()
        return built


def _is_transient(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed stage may be retried."""
    return isinstance(state.result(raise_on_failure=False), Transient)
