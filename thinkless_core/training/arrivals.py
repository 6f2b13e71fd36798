"""How far this process has come, counted in the places where all processes of a training meet.

Every process comes to the same meetings in the same order. The one with the lowest number is therefore the one that the
others wait for, whatever library carries their messages (infra/processes/pulse.py compares the numbers).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Arrivals:
    """The meetings of this process."""

    number: int = 0
    """Meetings that it has come to."""
    last: str = "the start"
    """What the last one was for."""

    def come_to(self, meeting: str) -> None:
        """Count one more; called before the process waits."""
        self.number += 1
        self.last = meeting


HERE = Arrivals()
