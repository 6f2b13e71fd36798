"""How many there are of a kind, and the first of them, for a message."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")

NUM_LISTED = 3
"""How many a message names."""


class FirstOnes(Generic[T]):
    """Counts what is added, and keeps the first ones."""

    def __init__(self) -> None:
        self.count = 0
        self.listed: list[T] = []

    def add(self, one: T) -> None:
        """Count one more."""
        self.count += 1
        if len(self.listed) < NUM_LISTED:
            self.listed.append(one)

    @property
    def more(self) -> str:
        """What a message says after those it lists; empty if these are all."""
        return f"; and {self.count - NUM_LISTED} more" if self.count > NUM_LISTED else ""
