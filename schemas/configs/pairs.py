"""Configuration of stage `pairs`: which generations become a pair."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.configs.stage import StageConfig


class PairsConfig(StageConfig):
    """Rules that make pairs from generations; the rows that each rule affects are counted."""

    truncated: Literal["keep_truncated", "drop"] = "drop"
    """Rule for a pair with a truncated side. A kept one has no end token, so the student does not learn its end."""
    incorrect: Literal["keep", "drop"] = "drop"
    """Rule for a pair with a finished side whose answer is wrong."""
    validation_share: float = Field(0.02, ge=0, lt=1)
    """Share of the pairs that is left out of training, for the validation loss."""
