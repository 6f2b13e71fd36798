"""The Prefect flow: runs the recipe of flows/recipe.py, each stage as a task run.

profile + overrides -> request -> each stage: found in the store or built, as a Prefect task -> the UI
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect import Task, flow, task
from prefect.cache_policies import CacheKeyFnPolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.runtime import flow_run

from flows.direct import RETRY_PAUSES_SECONDS
from flows.prefect.temporary_server import guard_temporary_servers
from flows.prefect.ui_artifacts import publish_artifacts
from flows.recipe import AnyPlan
from flows.request import check_request
from flows.run_stages import run_stages
from schemas.artifact import Artifact
from schemas.errors import Transient
from tasks.running.build import run_stage
from tasks.running.context import RunContext


@task(
    name="stage",
    cache_policy=CacheKeyFnPolicy(cache_key_fn=lambda _, inputs: f"{inputs['plan'].stage}-{inputs['plan'].key}"),
    persist_result=True,
    result_serializer="json",
)
def stage_task(context: RunContext, plan: AnyPlan) -> Artifact:
    """Build one stage. Prefect's cache uses the same key, but the store alone decides whether a stage is done."""
    return run_stage(context, plan)


@flow(name="thinkless", log_prints=False, persist_result=False)
def thinkless(
    profile: str = "tiny",
    overrides: list[str] | None = None,
    until: str | None = None,
    only: str | None = None,
    refresh: list[str] | None = None,
    keep: list[str] | None = None,
    same_versions: bool = False,
) -> Mapping[str, str]:
    """Run the pipeline and return the keys of its artifacts by stage.

    `overrides` are `dotted.key=value`; `until` stops after a stage; `only` builds one stage from what the store
    holds; `refresh` rebuilds the stages named even if the store has them; `keep` takes the newest artifact of the
    stages named although their sources changed; `same_versions` rebuilds artifacts made with other package versions.
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
    artifacts = run_stages(request, build_as_task).artifacts
    publish_artifacts(artifacts)
    return {label: artifact.key for label, artifact in artifacts.items()}


def build_as_task(context: RunContext, plan: AnyPlan, done: Artifact | None) -> Artifact:
    """Run a stage's task. If the store has the artifact, Prefect's cache answers, so that the UI shows a hit."""
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
    return named(context, plan)


def _is_transient(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed stage may be retried."""
    return isinstance(state.result(raise_on_failure=False), Transient)
