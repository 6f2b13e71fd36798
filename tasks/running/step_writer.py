"""The interface of all that the numbers of a stage's steps are also written to: event files, experiment trackers.

These are views: no key and no artifact contains them, and a stage goes on if one cannot be written.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

logger = logging.getLogger("thinkless")


class StepWriter(ABC):
    """Writes the numbers of one stage's steps; the first number opens it, and a fault costs one line in the log."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._is_open = self._is_broken = False

    def __call__(self, done: int, numbers: Mapping[str, float]) -> None:
        """Write the numbers of step `done`."""
        if not numbers:
            return
        if not self._is_open:
            self._is_open = True
            self._try(lambda: self._open(done))
        self._try(lambda: self._write(done, numbers))

    def close(self) -> None:
        """Write the rest and close."""
        if self._is_open:
            self._try(self._close)

    def _try(self, action: Callable[[], None]) -> None:
        if self._is_broken:
            return
        try:
            action()
        except Exception as error:  # noqa: BLE001 - a stage goes on after any failure of a view
            self._is_broken = True
            reason = " ".join(str(error).split()) or type(error).__name__
            logger.warning("%s cannot be written (%s); the stage goes on without", self._place, reason)

    @abstractmethod
    def _open(self, first_step: int) -> None:
        """Open what is written to. Slow and optional packages are imported here."""

    @abstractmethod
    def _write(self, done: int, numbers: Mapping[str, float]) -> None:
        """Write the numbers of step `done`, of which there is at least one. Steps may come again after a crash."""

    @abstractmethod
    def _close(self) -> None:
        """Close what was opened."""
