"""The reason why a completion ended."""

from __future__ import annotations

from enum import StrEnum


class FinishReason(StrEnum):
    """The reason why a completion ended: its end token, or the token limit."""

    STOP = "stop"
    LENGTH = "length"
