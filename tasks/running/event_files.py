"""TensorBoard event files with every number of every step, if THINKLESS_TENSORBOARD names a directory.

numbers of a step -> scalars of one run per stage, `<directory>/<label>-<key>` -> `tensorboard --logdir <directory>`
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.installed import installed_version
from schemas.errors import ConfigError
from tasks.running.step_writer import StepWriter

SECONDS_BETWEEN_FLUSHES = 10


def require_tensorboard(directory: Path) -> None:
    """Raise ConfigError if event files are requested and the package that writes them is missing."""
    if installed_version("tensorboard") is None:
        raise ConfigError(
            f"THINKLESS_TENSORBOARD={directory} asks for TensorBoard event files, and package `tensorboard` is not "
            'installed; run `pip install "thinkless-flows[tensorboard]"` (or `pip install tensorboard`), or unset the '
            "variable"
        )


class EventFile(StepWriter):
    """The event files of one stage."""

    def __init__(self, directory: Path) -> None:
        require_tensorboard(directory.parent)
        super().__init__(f"TensorBoard event files in {directory}")
        self._directory = directory
        self._writer: Any = None

    def _open(self, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # a slow import of an optional package

        # A run that resumes from a checkpoint writes steps again that the killed run had written.
        self._writer = SummaryWriter(
            log_dir=str(self._directory), purge_step=first_step, flush_secs=SECONDS_BETWEEN_FLUSHES
        )

    def _write(self, done: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, global_step=done)

    def _close(self) -> None:
        self._writer.close()
