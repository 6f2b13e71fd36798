"""Finds the artifact of a plan: in the store by its key, or kept although its sources changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from infra.installed import installed_version
from schemas.artifact import Artifact, Manifest
from schemas.configs.stage import StageConfig
from tasks.running.context import RunContext
from tasks.running.rebuild_reason import Differences, Reason, differences, reason
from tasks.running.stage import StagePlan

C = TypeVar("C", bound=StageConfig)

RESULT_PACKAGES = ("torch", "transformers", "vllm", "math-verify")
"""Packages whose versions can change a model's output or a verdict."""


def result_versions() -> dict[str, str | None]:
    """Their versions here; None of one that is not installed."""
    return {name: installed_version(name) for name in RESULT_PACKAGES}


def find_done(context: RunContext, plan: StagePlan[C]) -> Artifact | None:
    """The published, verified artifact of a plan; None if it has to be built or rebuilt."""
    if plan.stage in context.refresh:
        return None
    found = context.store.find(plan.stage, plan.key)
    if found is not None:
        outdated = context.same_versions and version_changes(context.store.manifest(plan.stage, plan.key))
        return None if outdated else found
    return _kept(context, plan) if plan.stage in context.keep else None


def find_or_fetch(context: RunContext, plan: StagePlan[C]) -> Artifact | None:
    """The published, verified artifact of a plan; what the home lacks and the remote has is downloaded, checked and
    published first. None if it has to be built or rebuilt.
    """
    done, shared = find_done(context, plan), context.shared
    if done is not None or shared is None or plan.stage in context.refresh:
        return done
    shared.fetch(context.store, plan.stage, plan.key, owner=f"run {context.run_id}")
    return find_done(context, plan)  # it was fetched, or another run built it while this one waited for its lock


def _kept(context: RunContext, plan: StagePlan[C]) -> Artifact | None:
    """The newest artifact that differs from a plan only in its sources."""
    for manifest in reversed(list(context.store.manifests())):
        if manifest.stage == plan.stage and not differences(plan, manifest).besides_sources():
            found = context.store.find(manifest.stage, manifest.key)
            if found is not None:
                return found.model_copy(update={"kept": True})
    return None


def why_to_build(context: RunContext, plan: StagePlan[C], manifests: Iterable[Manifest]) -> Reason:
    """Why `find_done` returned nothing; `manifests` are those of the store."""
    if plan.stage in context.refresh:
        return Reason(Differences(), None, wanted="--refresh asks for it")
    if context.store.find(plan.stage, plan.key) is not None:
        return Reason(Differences(), None, wanted="it was made with other versions")
    return reason(plan, manifests)


def version_changes(manifest: Manifest) -> Mapping[str, tuple[str, str]]:
    """Package -> (version the artifact was made with, version installed), if they differ."""
    changes = {}
    for name in RESULT_PACKAGES:
        made_with, installed = manifest.packages.get(name), installed_version(name)
        if made_with is not None and installed is not None and made_with != installed:
            changes[name] = (made_with, installed)
    return changes
