"""How the core tells how far it is, without knowing who listens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Progress(Protocol):
    """Called after each piece of work."""

    def __call__(self, done: int, total: int, numbers: Mapping[str, float]) -> None:
        """`done` of `total` pieces are finished; `numbers` are the latest figures worth showing."""
        ...


def no_progress(done: int, total: int, numbers: Mapping[str, float]) -> None:
    """Nobody listens."""
