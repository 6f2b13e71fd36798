"""Where the store lives and how long to wait for it: the only place that reads the environment.

THINKLESS_HOME, THINKLESS_LOCK_TIMEOUT_SECONDS -> Settings -> every other module of `infra`, as arguments.
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


@dataclass(frozen=True)
class Settings:
    """What this machine tells the pipeline; nothing here changes a result."""

    home: Path
    """Absolute directory of artifacts, runs and catalog."""
    lock_timeout_seconds: float = DEFAULT_LOCK_TIMEOUT_SECONDS
    """Longest wait for another process to let go of the catalog."""

    @classmethod
    def from_environment(cls) -> Settings:
        """Settings from THINKLESS_HOME and THINKLESS_LOCK_TIMEOUT_SECONDS; ConfigError on a bad number."""
        home = Path(os.environ.get("THINKLESS_HOME") or DEFAULT_HOME).expanduser()
        return cls(home=Path(os.path.abspath(home)), lock_timeout_seconds=_timeout_from_environment())

    def prepare(self) -> Settings:
        """Creates the home and proves that it can be written, now and not after an hour of work.

        Raises StoreError with the reason of the operating system and the way out.
        """
        probe = self.home / f".probe-{os.getpid()}"
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            try:
                with probe.open("wb") as stream:
                    stream.write(b"thinkless")
                    stream.flush()
                    os.fsync(stream.fileno())  # a full disk may only show here
            finally:
                probe.unlink(missing_ok=True)
        except OSError as error:
            raise store_error(error, path=self.home) from error
        return self


def _timeout_from_environment() -> float:
    raw = os.environ.get("THINKLESS_LOCK_TIMEOUT_SECONDS")
    if not raw:
        return DEFAULT_LOCK_TIMEOUT_SECONDS
    try:
        seconds = float(raw)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ConfigError(
            f"environment variable THINKLESS_LOCK_TIMEOUT_SECONDS is {raw!r}; expected a number of seconds "
            f">= 0, such as {DEFAULT_LOCK_TIMEOUT_SECONDS:g}; correct it or unset it"
        )
    return seconds
