"""Differences between two configurations, as lines: `rl.gamma 0.5 -> 0.3`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.runs import RunRecord
from schemas.configs.loading import load_config
from schemas.errors import ConfigError
from tasks.running.rebuild_reason import changed_values


def config_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """One line per key whose value differs or that only one of them has, in the order of `new`."""
    return [f"{'.'.join(key)} {was} -> {now}" for key, was, now in changed_values(old, new)]


def changes_from_profile(run: RunRecord) -> list[str]:
    """Differences between a run's configuration and its profile as it is today, values set for the run among them."""
    try:
        profile = load_config(run.profile).model_dump(mode="json")
    except ConfigError:
        return [f"its profile {run.profile} is none of the shipped ones: its whole configuration is in table runs"]
    return config_changes(profile, run.config)
