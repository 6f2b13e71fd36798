"""TensorBoard event files with every number of every step, if THINKLESS_TENSORBOARD names a directory.

numbers of a step -> scalars of one run per stage, `<directory>/<label>-<key>` -> `tensorboard --logdir <directory>`
The files are a view: no key and no artifact contains them, and the run goes on if they cannot be written.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError

logger = logging.getLogger("thinkless")

SECONDS_BETWEEN_FLUSHES = 10


def require_tensorboard(directory: Path) -> None:
    """Raise ConfigError if event files are requested and the package that writes them is missing."""
    if importlib.util.find_spec("tensorboard") is None:
        raise ConfigError(
            f"THINKLESS_TENSORBOARD={directory} asks for TensorBoard event files, and package `tensorboard` is not "
            'installed; run `pip install "thinkless-flows[tensorboard]"` (or `pip install tensorboard`), or unset the '
            "variable"
        )


class EventFile:
    """The event files of one stage; the first number creates them."""

    def __init__(self, directory: Path) -> None:
        require_tensorboard(directory.parent)
        self._directory = directory
        self._writer: Any = None
        self._broken = False

    def __call__(self, done: int, numbers: Mapping[str, float]) -> None:
        """Write the numbers of step `done`."""
        if self._broken or not numbers:
            return
        try:
            if self._writer is None:
                self._writer = self._open(done)
            for name, value in numbers.items():
                self._writer.add_scalar(name, value, global_step=done)
        except OSError as error:
            self._broken = True
            logger.warning(
                "TensorBoard event files in %s cannot be written (%s); the run goes on without them",
                self._directory,
                error,
            )

    def close(self) -> None:
        """Write the rest to disk and close the files."""
        if self._writer is not None and not self._broken:
            self._writer.close()

    def _open(self, first_step: int) -> Any:
        from torch.utils.tensorboard import SummaryWriter  # a slow import of an optional package

        # A run that resumes from a checkpoint writes steps again that the killed run had written.
        return SummaryWriter(log_dir=str(self._directory), purge_step=first_step, flush_secs=SECONDS_BETWEEN_FLUSHES)
