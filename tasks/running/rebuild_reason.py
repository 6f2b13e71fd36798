"""The reason why a stage has to be built: the differences between its plan and the nearest artifact in the store.

StagePlan + manifests of its stage -> Differences from the nearest -> one line, or all differences
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from schemas.artifact import Manifest
from tasks.running.stage import StagePlan

SHOWN = 3
"""Number of differences in the short form."""
NOT_SET = "(not set)"
"""What a value is called that only the other side has."""


class Differences(NamedTuple):
    """Differences between a plan and an artifact; all empty if the keys are equal."""

    config: tuple[str, ...] = ()
    """`rl.gamma 0.5 -> 0.3`, and files that the configuration names."""
    inputs: tuple[str, ...] = ()
    """`input sft 1a2b3c4d -> 5e6f7a8b`."""
    sources: tuple[str, ...] = ()
    """`thinkless_core/rl/policy_loss.py changed`."""

    def besides_sources(self) -> bool:
        """True if configuration or inputs differ."""
        return bool(self.config or self.inputs)

    def all(self) -> tuple[str, ...]:
        """Every difference, configuration first."""
        return self.config + self.inputs + self.sources


class Reason(NamedTuple):
    """Why a plan has no artifact."""

    differences: Differences
    nearest: Manifest | None
    """The artifact it was compared with; None if the store has none of this stage."""
    wanted: str = ""
    """Why it is rebuilt although the store has it; empty if the store has not."""

    def short(self) -> str:
        """The first differences on one line."""
        if self.wanted:
            return self.wanted
        if self.nearest is None:
            return "there is none in the store yet"
        found = self.differences.all()
        if not found:
            return "its artifact is no longer in the store"
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        return ", ".join(found[:SHOWN]) + more


def reason(plan: StagePlan[Any], manifests: Iterable[Manifest]) -> Reason:
    """Why a plan is no hit: its differences from the artifact that differs least (of equals, the newest)."""
    nearest: tuple[int, Manifest, Differences] | None = None
    for manifest in manifests:  # oldest first
        if manifest.stage != plan.stage or manifest.config.get("mode") != plan.slice.get("mode"):
            continue
        found = differences(plan, manifest)
        distance = len(found.all())
        if nearest is None or distance <= nearest[0]:
            nearest = (distance, manifest, found)
    return Reason(Differences(), None) if nearest is None else Reason(nearest[2], nearest[1])


def differences(plan: StagePlan[Any], manifest: Manifest) -> Differences:
    """The differences between a plan and the artifact of a manifest."""
    return Differences(
        config=tuple(_config_changes(manifest.config, plan.slice, stage=plan.stage)),
        inputs=tuple(_input_changes(plan, manifest)),
        sources=tuple(_source_changes(plan, manifest)),
    )


def _config_changes(old: Mapping[str, Any], new: Mapping[str, Any], *, stage: str) -> Iterator[str]:
    for key, was, now in changed_values(old, new):
        if key[0] == "files":
            yield f"file {key[-1]} {'is a different file' if NOT_SET in (was, now) else 'changed'}"
        else:
            yield f"{'.'.join((stage, *key))} {was} -> {now}"


def changed_values(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """(keys that lead to a value, before, after) of each value of nested tables that differs, in the order of `new`."""
    before, after = dict(_leaves(old)), dict(_leaves(new))
    for key in dict.fromkeys([*after, *before]):
        was, now = before.get(key), after.get(key)
        if was != now or (key in before) != (key in after):
            yield key, f"{was}" if key in before else NOT_SET, f"{now}" if key in after else NOT_SET


def _leaves(value: Any, prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, (*prefix, str(name)))
    else:
        yield prefix, list(value) if isinstance(value, tuple) else value


def _input_changes(plan: StagePlan[Any], manifest: Manifest) -> Iterator[str]:
    if len(plan.inputs) != len(manifest.inputs):
        yield f"inputs {_stages(manifest.inputs)} -> {_stages(plan.inputs)}"
        return
    for now, was in zip(plan.inputs, manifest.inputs, strict=True):
        if not now.digest:
            yield f"input {now.stage} has to be built first"
        elif (now.stage, now.digest) != (was.stage, was.digest):
            yield f"input {now.stage} {was.digest[:8]} -> {now.digest[:8]}"


def _stages(inputs: Iterable[Any]) -> str:
    return "+".join(each.stage for each in inputs)


def _source_changes(plan: StagePlan[Any], manifest: Manifest) -> Iterator[str]:
    if plan.fingerprint == manifest.fingerprint:
        return
    if not manifest.sources:
        yield "sources changed (the artifact does not say which)"
        return
    for name in dict.fromkeys([*plan.sources, *manifest.sources]):
        was, now = manifest.sources.get(name), plan.sources.get(name)
        if was != now:
            word = "changed" if was and now else "is new" if now else "is no longer used"
            yield f"{file_of_module(name)} {word}"


def files_unlike(sources: Mapping[str, str], others: Mapping[str, str]) -> list[str]:
    """Files of those modules in `sources` that are not the same, or not there, in `others`."""
    return [file_of_module(name) for name, sha256 in sources.items() if others.get(name) != sha256]


def file_of_module(name: str) -> str:
    """`thinkless_core.rl.policy_loss` -> `thinkless_core/rl/policy_loss.py`; a file's name is returned as it is."""
    is_module = "/" not in name and not name.endswith((".py", ".sql"))
    return f"{name.replace('.', '/')}.py" if is_module else name
