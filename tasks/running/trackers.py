"""Experiment trackers that get every number of every step of a training, if THINKLESS_TRACKERS names them.

numbers of a step -> one run per training and tracker, `PROFILE-STAGE-KEY8` of project `thinkless`, with its settings
A training that is resumed goes on in its run.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any, Protocol

from infra.installed import installed_version
from schemas.errors import ConfigError, nearest
from tasks.running.step_writer import StepWriter

logger = logging.getLogger("thinkless")
PROJECT = "thinkless"
WANDB_SETTINGS = {"console": "off", "init_timeout": 30, "finish_timeout": 60, "finish_timeout_raises": True}
"""The log stays here, and neither the start (in seconds) nor the end waits for long for a network that is gone."""


class Tracker(Protocol):
    """A run that is open in a tracker."""

    def log(self, numbers: Mapping[str, float], *, step: int) -> None:
        """Record the numbers of a step."""
        ...

    def finish(self) -> None:
        """Send the rest and close the run."""
        ...


class Trackio:
    """A run of trackio, in its local database, or in the Space or server that its own variables name."""

    def __init__(self, run: str, config: Mapping[str, object]) -> None:
        import trackio

        with redirect_stdout(io.StringIO()):  # its greeting would stand before the result table
            self._run: Any = trackio.init(project=PROJECT, name=run, config=dict(config), resume="allow")

    def log(self, numbers: Mapping[str, float], *, step: int) -> None:
        """Record the numbers of a step."""
        self._run.log(dict(numbers), step=step)

    def finish(self) -> None:
        """Write the rest to the database."""
        import trackio

        with redirect_stdout(io.StringIO()):
            trackio.finish()  # the run's own `finish` would be called again at exit, and print


class Wandb:
    """A run of Weights & Biases. WANDB_MODE, WANDB_ENTITY and the like count as always."""

    def __init__(self, run: str, config: Mapping[str, object]) -> None:
        import wandb

        wandb.setup(wandb.Settings(show_info=False))  # neither greeting nor question for a key; warnings are shown
        self._run: Any = wandb.init(
            project=PROJECT,
            name=run,
            id=run,
            resume="allow",
            reinit="create_new",
            config=dict(config),
            settings=wandb.Settings(**WANDB_SETTINGS),
        )
        # wandb's own step may not fall, and a stage counts from 1 again after what it measures before its first step.
        self._run.define_metric("*", step_metric="step")

    def log(self, numbers: Mapping[str, float], *, step: int) -> None:
        """Record the numbers of a step."""
        self._run.log({**numbers, "step": step})

    def finish(self) -> None:
        """Send the rest."""
        self._run.finish()


TRACKERS: dict[str, Callable[[str, Mapping[str, object]], Tracker]] = {"trackio": Trackio, "wandb": Wandb}
"""Tracker -> opens a run, given its name and settings. A tracker has the name of its package."""


def require_trackers(names: Sequence[str]) -> None:
    """Raise ConfigError for a tracker that is unknown or not installed."""
    for name in names:
        asked = f"THINKLESS_TRACKERS={','.join(names)}"
        if name == "tensorboard":
            raise ConfigError(f"{asked}: event files need a directory; set THINKLESS_TENSORBOARD=DIRECTORY instead")
        if name not in TRACKERS:
            raise ConfigError(f"{asked}: unknown tracker {name!r}; {nearest(name, TRACKERS)}")
        if installed_version(name) is None:  # a folder `wandb` of offline runs can be imported too
            raise ConfigError(
                f"{asked} asks for tracker {name}, and package `{name}` is not installed; run "
                f'`pip install "thinkless-flows[{name}]"` (or `pip install {name}`), or take it out of the variable'
            )


class TrackedRun(StepWriter):
    """The run of one training in one tracker."""

    def __init__(self, tracker: str, run: str, config: Mapping[str, object]) -> None:
        require_trackers([tracker])
        super().__init__(f"run {run} of {tracker}")
        self._tracker, self._name, self._config = tracker, run, config
        self._run: Tracker

    def _open(self, first_step: int) -> None:
        self._run = TRACKERS[self._tracker](self._name, self._config)
        logger.info("%s: run %s of project %s gets the numbers of every step", self._tracker, self._name, PROJECT)

    def _write(self, done: int, numbers: Mapping[str, float]) -> None:
        self._run.log(numbers, step=done)

    def _close(self) -> None:
        self._run.finish()
