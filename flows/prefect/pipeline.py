"""The Prefect flow: the recipe of flows/recipe.py, each stage a task run.

profile + overrides -> request -> stage after stage: the store first, a Prefect task as its mirror -> the UI
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect import Task, flow
from prefect.client.schemas.objects import TaskRun
from prefect.states import State

from flows.direct import RETRY_PAUSES_SECONDS
from flows.prefect.temporary_server import guard_temporary_servers
from flows.prefect.ui_artifacts import publish_artifacts
from flows.recipe import AnyPlan
from flows.request import check_request
from flows.run import run_stages
from schemas.artifact import Artifact
from schemas.errors import Transient
from tasks import (
    ask_teachers,
    build_pairs,
    evaluate_models,
    prepare_base,
    prepare_problems,
    train_rl,
    train_sft,
    write_report,
)
from tasks.running.context import RunContext

TASKS: Mapping[str, Task[..., Artifact]] = {
    "base": prepare_base.prepare_base,
    "problems": prepare_problems.prepare_problems,
    "teach": ask_teachers.ask_teachers,
    "pairs": build_pairs.pair_generations,
    "sft": train_sft.train_sft,
    "rl": train_rl.train_rl,
    "evaluate": evaluate_models.evaluate_models,
    "report": write_report.write_report,
}
"""The task of each stage."""


@flow(name="thinkless", log_prints=False, persist_result=False)
def thinkless(
    profile: str = "tiny",
    overrides: list[str] | None = None,
    until: str | None = None,
    only: str | None = None,
    refresh: list[str] | None = None,
) -> Mapping[str, str]:
    """Run the pipeline and return the keys of its artifacts by stage.

    `overrides` are `dotted.key=value`; `until` stops after a stage; `only` builds one stage from what the store
    holds; `refresh` rebuilds the stages named even where the store has them.
    """
    request = check_request(profile, overrides=overrides or (), until=until, only=only, refresh=refresh or ())
    guard_temporary_servers()
    artifacts = run_stages(request, build_as_task).artifacts
    publish_artifacts(artifacts)
    return {label: artifact.key for label, artifact in artifacts.items()}


def build_as_task(context: RunContext, plan: AnyPlan, done: Artifact | None) -> Artifact:
    """Run a stage's task: Prefect's cache answers where the store has the artifact, so that the UI shows a hit."""
    task = TASKS[plan.stage].with_options(
        task_run_name=plan.label,
        refresh_cache=done is None,
        retries=len(RETRY_PAUSES_SECONDS),
        retry_delay_seconds=list(RETRY_PAUSES_SECONDS),
        retry_condition_fn=_is_transient,
    )
    return task(context, plan)


def _is_transient(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed stage is worth trying again."""
    return isinstance(state.result(raise_on_failure=False), Transient)
