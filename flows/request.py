"""What a run is asked to do, checked before anything slow is imported or started."""

from __future__ import annotations

from collections.abc import Sequence

from infra.settings import Settings
from schemas.configs.loading import load_config
from schemas.configs.pipeline import STAGES, PipelineConfig
from schemas.errors import ConfigError, nearest


def check_request(
    profile: str, *, overrides: Sequence[str], until: str | None, only: str | None, refresh: Sequence[str]
) -> tuple[PipelineConfig, Settings]:
    """Everything that can be wrong before the first stage, said at once; raises ConfigError or StoreError."""
    for option, names in (("until", [until]), ("only", [only]), ("refresh", refresh)):
        for name in names:
            if name is not None and name not in STAGES:
                raise ConfigError(f"--{option}: unknown stage {name!r}; {nearest(name, STAGES)}")
    if until is not None and only is not None:
        raise ConfigError(f"--until {until} and --only {only} contradict each other; give one of them")
    return load_config(profile, overrides=overrides), Settings.from_environment().prepare()
