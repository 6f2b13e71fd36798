"""Why a completion ended."""

from __future__ import annotations

from enum import StrEnum


class FinishReason(StrEnum):
    """Why a completion ended: by its end token, or because it ran into the token limit."""

    STOP = "stop"
    LENGTH = "length"
