"""The Prefect flow: runs the recipe of flows/recipe.py, each stage as a task run.

profile + overrides -> request -> each stage: found in the store or built, as a Prefect task -> the UI
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prefect import Task, flow
from prefect.assets import materialize
from prefect.cache_policies import CacheKeyFnPolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.runtime import flow_run

from flows.direct import RETRY_PAUSES_SECONDS
from flows.prefect.dead_runs import end_dead_runs
from flows.prefect.foreseen import log_without_tracebacks, refused
from flows.prefect.form import (
    OptionalCount,
    OptionalObjective,
    OptionalStage,
    OptionalText,
    Override,
    ProfileName,
    StageName,
)
from flows.prefect.stage_deployments import DeploymentBuilder
from flows.prefect.stage_events import asset_key, build_and_tell
from flows.prefect.temporary_server import guard_temporary_servers
from flows.prefect.ui_artifacts import publish_artifacts
from flows.recipe import AnyPlan
from flows.request import check_request
from flows.run_stages import run_stages
from flows.shorthand import spelled_out
from schemas.artifact import Artifact
from schemas.errors import ThinklessError, Transient
from tasks.running.context import RunContext

MAX_NAME = 200
"""Characters of a flow run's name."""


def _flow_run_name() -> str:
    """Profile, what was asked for, and what was changed: `smollm2, until sft, rl.gamma=0.3`."""
    given = flow_run.parameters
    options = [f"{word} {given[word]}" for word in ("until", "only", "objective", "limit", "data") if given.get(word)]
    rebuilt = [f"refresh {' '.join(given['refresh'])}"] if given.get("refresh") else []
    return ", ".join([given["profile"], *options, *rebuilt, *(given.get("overrides") or [])])[:MAX_NAME]


@flow(name="thinkless", flow_run_name=_flow_run_name, log_prints=False, persist_result=False)
def thinkless(
    profile: ProfileName = "tiny",
    objective: OptionalObjective = None,
    limit: OptionalCount = None,
    data: OptionalText = None,
    overrides: Sequence[Override] = (),
    until: OptionalStage = None,
    only: OptionalStage = None,
    refresh: Sequence[StageName] = (),
    keep: Sequence[StageName] = (),
    same_versions: bool = False,
    expect: Sequence[str] = (),
) -> Mapping[str, str]:
    """Run the pipeline and return the keys of its artifacts by stage.

    Args:
        profile: A shipped profile, such as tiny or smollm2, or the path of a TOML file.
        objective: What RL learns from: a shipped objective, or FILE.py:Class. Stands for rl.objective=...
        limit: Evaluate on the first N problems of each benchmark, for a quick look. Stands for evaluate.limit=N
        data: Folder with copies of well-known data sets (gsm8k_train.jsonl, math500.json...), on the worker's machine.
        overrides: Keys to change, each as KEY=VALUE, for example rl.gamma=0.3; docs/reference.md lists them all.
        until: Stop after this stage.
        only: Build this stage alone, from what the store holds.
        refresh: Rebuild these stages even if the store has them.
        keep: Take the newest artifact of these stages although their sources changed.
        same_versions: Rebuild what other versions of torch, transformers, vllm or math-verify made.
        expect: Keys as LABEL=KEY, set by a flow that has its stages built by their deployments; another key is refused.
    """
    log_without_tracebacks()
    try:
        request = check_request(
            profile,
            overrides=spelled_out(profile, overrides=overrides, objective=objective, limit=limit, data=data),
            until=until,
            only=only,
            refresh=refresh,
            keep=keep,
            same_versions=same_versions,
            flow_run_id=flow_run.id,
            expect=expect,
        )
    except ThinklessError as error:
        return refused(error)  # type: ignore[return-value]  # Prefect ends the run in this state
    guard_temporary_servers()
    end_dead_runs(request.settings.home, besides=str(flow_run.id))
    # Jobs inherit the environment of the flow that asks for them: a stage that was asked for asks no other.
    asks = request.settings.stages_as_deployments and not request.expect
    build = DeploymentBuilder(request, dict(flow_run.parameters)) if asks else TaskBuilder()
    artifacts = run_stages(request, build).artifacts
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

        # Without parameters: Prefect would recognise the text "teach" of one teacher's result in the plan of the other,
        # and take the one for an input of the other.
        def build() -> Artifact:
            return build_and_tell(context, plan)

        stage = materialize(
            asset_key(plan),
            asset_deps=[asset_key(artifact) for artifact in plan.inputs],
            name=plan.stage,
            task_run_name=plan.label,
            # The key of the store; the store alone decides whether a stage is done.
            cache_policy=CacheKeyFnPolicy(cache_key_fn=lambda *_: f"{plan.stage}-{plan.key}"),
            refresh_cache=done is None,
            persist_result=True,
            result_serializer="json",
            retries=len(RETRY_PAUSES_SECONDS),
            retry_delay_seconds=list(RETRY_PAUSES_SECONDS),
            retry_condition_fn=_is_transient,
        )(build)
        before = [self.states[artifact.key] for artifact in plan.inputs if artifact.key in self.states]
        state = stage(return_state=True, wait_for=before)
        self.states[plan.key] = state
        built: Artifact = state.result()
        return built


def _is_transient(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed stage may be retried."""
    return isinstance(state.result(raise_on_failure=False), Transient)
