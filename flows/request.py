"""A request for a run, checked before anything slow is imported or started."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from flows.recipe import RECIPE, stage_names
from infra.processes.before_torch import prepare_for_torch
from infra.processes.launcher import accelerate_config_path
from infra.settings import Settings
from schemas.configs.loading import load_config
from schemas.configs.pipeline import PipelineConfig
from schemas.errors import ConfigError, nearest
from tasks.running.context import RunContext
from tasks.running.event_files import require_tensorboard
from tasks.running.shared_artifacts import shared_artifacts
from tasks.running.trackers import require_trackers


@dataclass(frozen=True)
class RunRequest:
    """One run to be launched: its configuration, the machine's settings, and which stages to find, build or keep."""

    config: PipelineConfig
    settings: Settings
    until: str | None = None
    only: str | None = None
    refresh: frozenset[str] = frozenset()
    keep: frozenset[str] = frozenset()
    same_versions: bool = False
    study: str | None = None
    """The study that the run is a member of."""
    flow_run_id: str | None = None
    """Id of the Prefect flow run that runs it."""
    expect: Mapping[str, str] = field(default_factory=dict)
    """Label of a stage -> key that it has for the flow that asks for this run; another key is refused."""

    @property
    def last(self) -> str | None:
        """The last requested stage; None: all stages."""
        return self.only or self.until

    def new_context(self) -> RunContext:
        """The context of a new run."""
        return RunContext(
            run_id=new_run_id(),
            profile=self.config.profile,
            settings=self.settings,
            refresh=self.refresh,
            keep=self.keep,
            same_versions=self.same_versions,
            shared=shared_artifacts(self.settings),
        )


def new_run_id() -> str:
    """An id: the time in seconds, and four random characters, so that two runs of one second differ."""
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
    study: str | None = None,
    flow_run_id: str | None = None,
    expect: Sequence[str] = (),
) -> RunRequest:
    """Check all that can be checked before the first stage starts; raises ConfigError or StoreError."""
    prepare_for_torch()  # before anything, such as a plug-in, loads torch
    known = stage_names()
    for option, names in (("until", [until]), ("only", [only]), ("refresh", refresh), ("keep", keep)):
        for name in names:
            if name is not None and name not in known:
                raise ConfigError(f"--{option}: unknown stage {name!r}; {nearest(name, known)}")
    if both := sorted(set(keep) & set(refresh)):
        raise ConfigError(f"--keep {both[0]} and --refresh {both[0]} contradict each other; give one of them")
    if until is not None and only is not None:
        raise ConfigError(f"--until {until} and --only {only} contradict each other; give one of them")
    config = checked_config(profile, overrides=overrides)
    return RunRequest(
        config,
        checked_settings(),
        until=until,
        only=only,
        refresh=frozenset(refresh),
        keep=frozenset(keep),
        same_versions=same_versions,
        study=study,
        flow_run_id=flow_run_id,
        expect=dict(_label_and_key(text) for text in expect),
    )


def _label_and_key(text: str) -> tuple[str, str]:
    label, equals, key = text.partition("=")
    if not (label and equals and key):
        raise ConfigError(f"expect: got {text!r}, expected LABEL=KEY, such as teach-short=0123456789abcdef0123")
    return label, key


def checked_config(profile: str, *, overrides: Sequence[str] = ()) -> PipelineConfig:
    """The configuration of a run, checked as far as it can be by itself; raises ConfigError."""
    config = load_config(profile, overrides=overrides)
    _refuse_unknown_stages(config, stage_names())
    for launch in (config.sft.launch, config.rl.launch):
        if launch is not None:
            accelerate_config_path(launch.accelerate_config)
    return config


def checked_settings() -> Settings:
    """The settings of this machine, its store ready to be written; raises ConfigError or StoreError."""
    settings = Settings.from_environment().prepare()
    if settings.tensorboard is not None:
        require_tensorboard(settings.tensorboard)
    require_trackers(settings.trackers)
    shared_artifacts(settings)
    return settings


def _refuse_unknown_stages(config: PipelineConfig, known: Sequence[str]) -> None:
    """Check the settings of stages that were added to the recipe, and refuse a table `stages.NAME` without a stage."""
    for stage in RECIPE:
        stage.settings(config)
    for name in config.stages:
        if name not in known or hasattr(config, name):
            raise ConfigError(f"stages.{name}: the recipe has no added stage {name!r}; {nearest(name, known)}")
