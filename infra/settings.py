"""Settings from environment variables. Besides this module only infra/endpoints/api_key.py and infra/remote read the
environment, for keys of others, and the plug-ins that other trainers load (tasks/exchange).

THINKLESS_HOME, THINKLESS_LOCK_TIMEOUT_SECONDS, THINKLESS_TENSORBOARD, THINKLESS_TRACKERS, THINKLESS_REPORT_URL,
THINKLESS_REMOTE, THINKLESS_NETWORK_INTERFACE, THINKLESS_LONGEST_WAIT_SECONDS, THINKLESS_STAGES, THINKLESS_PILOT
-> Settings -> the rest of `infra`, as arguments.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from infra.disk import store_error
from schemas.errors import ConfigError

DEFAULT_HOME = ".thinkless"
DEFAULT_LOCK_TIMEOUT_SECONDS = 60.0
DEFAULT_LONGEST_WAIT_SECONDS = 6 * 3600.0


@dataclass(frozen=True)
class Settings:
    """Settings of this machine; none changes a result."""

    home: Path
    """Absolute directory of artifacts, runs and catalog."""
    lock_timeout_seconds: float = DEFAULT_LOCK_TIMEOUT_SECONDS
    """Longest wait for another process to release the catalog."""
    tensorboard: Path | None = None
    """Absolute directory for TensorBoard event files; None writes none."""
    trackers: tuple[str, ...] = ()
    """Experiment trackers that get the numbers of a training (tasks/running/trackers.py)."""
    report_url: str | None = None
    """Address at which the folder `<home>/artifacts/report` is served, for links in Prefect's UI."""
    remote: str | None = None
    """Address of the remote that runs take artifacts from and give them to (infra/remote); None: there is none."""
    network_interface: str | None = None
    """Interface, such as eth0 or ib0, that the machines of one training talk through; None: torch and NCCL choose."""
    longest_wait_seconds: float = DEFAULT_LONGEST_WAIT_SECONDS
    """How long the processes of one training wait for one that does not come, before it is named and all end. Long by
    default, because one may sample long completions while the others sample short ones."""

    stages_as_deployments: bool = False
    """Whether the whole pipeline has each stage built by its Prefect deployment, in that one's work pool."""
    pilot: str | None = None
    """Shell command that starts a worker of work pool {pool}, once for each stage; None: workers are there."""

    @classmethod
    def from_environment(cls) -> Settings:
        """Settings from the environment variables above; ConfigError on a bad value."""
        stages = os.environ.get("THINKLESS_STAGES") or "tasks"
        if stages not in ("tasks", "deployments"):
            raise ConfigError(f"environment variable THINKLESS_STAGES is {stages!r}; expected tasks or deployments")
        events = os.environ.get("THINKLESS_TENSORBOARD")
        return cls(
            home=_absolute(os.environ.get("THINKLESS_HOME") or DEFAULT_HOME),
            lock_timeout_seconds=_seconds("THINKLESS_LOCK_TIMEOUT_SECONDS", DEFAULT_LOCK_TIMEOUT_SECONDS),
            tensorboard=_absolute(events) if events else None,
            trackers=_names(os.environ.get("THINKLESS_TRACKERS", "")),
            report_url=os.environ.get("THINKLESS_REPORT_URL") or None,
            remote=os.environ.get("THINKLESS_REMOTE") or None,
            network_interface=os.environ.get("THINKLESS_NETWORK_INTERFACE") or None,
            stages_as_deployments=stages == "deployments",
            pilot=os.environ.get("THINKLESS_PILOT") or None,
            longest_wait_seconds=_seconds("THINKLESS_LONGEST_WAIT_SECONDS", DEFAULT_LONGEST_WAIT_SECONDS),
        )

    def prepare(self) -> Settings:
        """Create the home, and write a test file, so that a fault shows before any work.

        Raises StoreError with the reason from the operating system and the way out.
        """
        probe = self.home / f".probe-{os.getpid()}"
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            try:
                with probe.open("wb") as stream:
                    stream.write(b"thinkless")
                    stream.flush()
                    os.fsync(stream.fileno())  # some file systems report a full disk only here
            finally:
                probe.unlink(missing_ok=True)
        except OSError as error:
            raise store_error(error, path=self.home) from error
        return self


def _absolute(path: str) -> Path:
    return Path(os.path.abspath(Path(path).expanduser()))


def _names(listed: str) -> tuple[str, ...]:
    """The names of a list with commas, each once."""
    return tuple(dict.fromkeys(name.strip() for name in listed.split(",") if name.strip()))


def _seconds(variable: str, default: float) -> float:
    raw = os.environ.get(variable)
    if not raw:
        return default
    try:
        seconds = float(raw)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ConfigError(
            f"environment variable {variable} is {raw!r}; expected a number of seconds >= 0, such as {default:g}; "
            "correct it or unset it"
        )
    return seconds
