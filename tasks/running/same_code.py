"""Whether a stage has the same key on every machine: the flow that asks for it says which, and the builder compares.

asker: label=key, and its plan in HOME/asked/ -> builder: another key? -> an error that names what differs
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.disk import write_whole
from infra.store.manifest_file import decode_manifest, encode_manifest
from schemas.artifact import Manifest
from schemas.errors import ConfigError, MissingArtifactError
from tasks.running.context import RunContext
from tasks.running.draft_manifest import draft_manifest
from tasks.running.rebuild_reason import differences
from tasks.running.stage import StagePlan


def save_asked_plan(context: RunContext, plan: StagePlan[Any]) -> None:
    """Write a plan down, for a builder that comes to another key."""
    write_whole(_file(context.settings.home, plan.stage, plan.key), encode_manifest(draft_manifest(context, plan)))


def refuse_another_key(context: RunContext, plan: StagePlan[Any], expected: Mapping[str, str]) -> None:
    """Raise ConfigError if a plan's key is not the expected one of its label, with what differs."""
    key = expected.get(plan.label)
    if key in (None, plan.key):
        return
    asked = _asked_manifest(context, plan.stage, str(key))
    found = () if asked is None else differences(plan, asked).all()
    raise ConfigError(
        f"{plan.label}: {socket.gethostname()} comes to key {plan.key[:8]}, and the flow that asks for it to "
        f"{str(key)[:8]}: {', '.join(found) or 'what differs is not known here'}; expected the same code, "
        "configuration and files on all machines: one environment on the shared disk, or the same versions everywhere"
    )


def _asked_manifest(context: RunContext, stage: str, key: str) -> Manifest | None:
    try:
        return context.store.manifest(stage, key)
    except MissingArtifactError:
        pass
    file = _file(context.settings.home, stage, key)
    return decode_manifest(file.read_bytes(), where=str(file)) if file.exists() else None


def _file(home: Path, stage: str, key: str) -> Path:
    return home / "asked" / f"{stage}-{key}.json"
