"""Table `guard_events`: decisions of the collapse guard."""

from __future__ import annotations

from typing import Literal

from schemas.base import Record
from schemas.mode import Mode


class GuardEvent(Record):
    """One decision of the collapse guard."""

    TABLE = "guard_events"
    FILE = "guard_events.parquet"
    HAS_RUN_ID = True

    step: int
    """Step of the training."""
    action: Literal["warn", "stop", "force", "release"]
    """What the guard did."""
    rare_mode: Mode
    """The mode that is rare."""
    share: float
    """Share of free rollouts in the rare mode, averaged over the guard's window."""
    forced_per_group: int
    """Rollouts of each group forced into the rare mode from the next step on."""
    reason: str
    """Why, in words."""
