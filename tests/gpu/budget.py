"""The time that a run may take, and lines that say how much of it is left."""

from __future__ import annotations

import time


class OutOfTimeError(Exception):
    """There is no time left for what goes on; what is done so far stays."""


class Budget:
    """A number of minutes from the making of it on."""

    def __init__(self, minutes: float) -> None:
        self._started = time.monotonic()
        self._seconds = 60 * minutes

    def spent(self) -> float:
        """Seconds so far."""
        return time.monotonic() - self._started

    def left(self) -> float:
        """Seconds left."""
        return self._seconds - self.spent()

    def say(self, text: str) -> None:
        """Print a line at once."""
        print(f"[{self.spent():4.0f} s, {self.left():4.0f} s left] {text}", flush=True)
