"""What a run is asked to do, checked before anything slow is imported or started."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from flows.recipe import RECIPE, stage_names
from infra.processes.launcher import accelerate_config_path
from infra.settings import Settings
from schemas.configs.loading import load_config
from schemas.configs.pipeline import PipelineConfig
from schemas.errors import ConfigError, nearest
from tasks.running.context import RunContext
from tasks.running.event_files import require_tensorboard


@dataclass(frozen=True)
class RunRequest:
    """One launch: the configuration, the machine it meets, and how far to go."""

    config: PipelineConfig
    settings: Settings
    until: str | None = None
    only: str | None = None
    refresh: frozenset[str] = frozenset()
    keep: frozenset[str] = frozenset()
    same_versions: bool = False

    @property
    def last(self) -> str | None:
        """The last stage asked for; None for all of them."""
        return self.only or self.until

    def new_context(self) -> RunContext:
        """The context of a run of its own."""
        return RunContext(
            run_id=new_run_id(),
            profile=self.config.profile,
            settings=self.settings,
            refresh=self.refresh,
            keep=self.keep,
            same_versions=self.same_versions,
        )


def new_run_id() -> str:
    """When it started, to the second, and four characters that tell it from others of that second."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def check_request(
    profile: str,
    *,
    overrides: Sequence[str] = (),
    until: str | None = None,
    only: str | None = None,
    refresh: Sequence[str] = (),
    keep: Sequence[str] = (),
    same_versions: bool = False,
) -> RunRequest:
    """Everything that can be wrong before the first stage, said at once; raises ConfigError or StoreError."""
    known = stage_names()
    for option, names in (("until", [until]), ("only", [only]), ("refresh", refresh), ("keep", keep)):
        for name in names:
            if name is not None and name not in known:
                raise ConfigError(f"--{option}: unknown stage {name!r}; {nearest(name, known)}")
    if both := sorted(set(keep) & set(refresh)):
        raise ConfigError(f"--keep {both[0]} and --refresh {both[0]} contradict each other; give one of them")
    if until is not None and only is not None:
        raise ConfigError(f"--until {until} and --only {only} contradict each other; give one of them")
    config = load_config(profile, overrides=overrides)
    _refuse_unknown_stages(config, known)
    for launch in (config.sft.launch, config.rl.launch):
        if launch is not None:
            accelerate_config_path(launch.accelerate_config)
    settings = Settings.from_environment().prepare()
    if settings.tensorboard is not None:
        require_tensorboard(settings.tensorboard)
    return RunRequest(config, settings, until, only, frozenset(refresh), frozenset(keep), same_versions)


def _refuse_unknown_stages(config: PipelineConfig, known: Sequence[str]) -> None:
    """Check the settings of stages that were added to the recipe; a table without a stage has no effect."""
    for stage in RECIPE:
        stage.settings(config)
    for name in config.stages:
        if name not in known or hasattr(config, name):
            raise ConfigError(f"stages.{name}: no stage of that name was added to the recipe; {nearest(name, known)}")
