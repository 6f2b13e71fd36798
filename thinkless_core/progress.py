"""How the core tells how far it is, without knowing who listens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol


class Progress(Protocol):
    """Called after each piece of work."""

    def __call__(self, done: int, total: int, numbers: Mapping[str, float], notes: Sequence[str] = ()) -> None:
        """`done` of `total` pieces are finished.

        `numbers` are all figures of the piece just finished, under the names they have in `metrics`; which of them
        are shown where is the listener's choice. `notes` are sentences that somebody should read now, such as a
        decision of the collapse guard.
        """
        ...


def no_progress(done: int, total: int, numbers: Mapping[str, float], notes: Sequence[str] = ()) -> None:
    """Nobody listens."""
