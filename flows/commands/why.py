"""`thinkless why STAGE`: a hit, or what differs from the nearest artifact in the store. Nothing is built."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple

from flows.recipe import AnyPlan, stages_until
from flows.request import RunRequest, check_request
from schemas.artifact import Artifact
from tasks.running.context import RunContext
from tasks.running.find import find_done, why_to_build
from tasks.running.rebuild_reason import Reason


class PlannedStage(NamedTuple):
    """One stage of a run: found in the store, or to be built."""

    plan: AnyPlan
    found: Artifact | None
    reason: Reason | None
    """Why it would be built; None: it is in the store, or in the remote."""
    elsewhere: str = ""
    """The remote that it would be taken from; empty: it would not be."""


def execute(arguments: argparse.Namespace) -> int:
    """Print why one stage, or a stage before it, would be built."""
    request = check_request(arguments.profile, overrides=arguments.overrides, until=arguments.stage)
    for planned in planned_stages(request):
        asked = planned.plan.stage == arguments.stage
        if asked or planned.reason is not None:
            print("\n".join(_in_full(planned)))
    return 0


def show_plan(request: RunRequest) -> None:
    """Print one line per stage: what a run would do with it, and why."""
    for planned in planned_stages(request):
        print(_line(planned))


def planned_stages(request: RunRequest) -> Iterator[PlannedStage]:
    """Every requested stage, in order. An artifact that has yet to be built has no digest."""
    context = request.new_context()
    manifests = list(context.store.manifests())
    artifacts: dict[str, Artifact] = {}
    for stage in stages_until(request.last):
        plan = stage.plan(request.config, artifacts)
        waits = any(not artifact.digest for artifact in plan.inputs)
        found = None if waits else find_done(context, plan)
        there = None if found or waits or plan.stage in context.refresh else _in_remote(context, plan)
        artifacts[plan.label] = found or there or Artifact(stage=plan.stage, key="", digest="", path="", rows=0)
        elsewhere = context.shared.remote.url if there and context.shared else ""
        yield PlannedStage(plan, found, None if found or there else why_to_build(context, plan, manifests), elsewhere)


def _in_remote(context: RunContext, plan: AnyPlan) -> Artifact | None:
    """The artifact of a plan in the remote, which is not downloaded."""
    manifest = None if context.shared is None else context.shared.manifest(plan.stage, plan.key)
    if manifest is None:
        return None
    return Artifact(stage=plan.stage, key=plan.key, digest=manifest.digest, path="", rows=manifest.rows)


def _line(planned: PlannedStage) -> str:
    label, found = planned.plan.label, planned.found
    if found is not None:
        return f"{label:<12} {'kept' if found.kept else 'cached':<6} {found.key[:8]}"
    if planned.elsewhere:
        return f"{label:<12} take   {planned.plan.key[:8]}  from {planned.elsewhere}"
    assert planned.reason is not None
    return f"{label:<12} build  because {planned.reason.short()}"


def _in_full(planned: PlannedStage) -> Iterator[str]:
    yield _line(planned)
    if planned.reason is None or planned.reason.nearest is None:
        return
    nearest = planned.reason.nearest
    yield f"  compared with {nearest.key[:8]}, built by run {nearest.run_id}:"
    for difference in planned.reason.differences.all():
        yield f"    {difference}"
