"""How far this process has come, counted in the places where all processes of a training meet.

Every process comes to the same meetings in the same order. The one with the lowest number is therefore the one that the
others wait for, whatever library carries their messages (infra/processes/pulse.py compares the numbers).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Arrivals:
    """The meetings of this process."""

    number: int = 0
    """Meetings that it has come to."""
    last: str = "the start"
    """What the last one was for."""
    inside: bool = False
    """Whether it is in that one, waiting or exchanging numbers."""

    @contextmanager
    def meeting(self, last: str) -> Iterator[None]:
        """A block in which this process exchanges something with all others."""
        self.number, self.last, self.inside = self.number + 1, last, True
        try:
            yield
        finally:
            self.inside = False


HERE = Arrivals()
