"""Configuration of stage `pairs`: which generations become a pair."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.configs.stage import StageConfig


class PairsConfig(StageConfig):
    """Rules from generations to pairs; the rows each rule touched are counted."""

    truncated: Literal["keep_truncated", "drop"] = "drop"
    """What happens to a pair with a truncated side. A kept one has no end token, so its end is not taught."""
    incorrect: Literal["keep", "drop"] = "drop"
    """What happens to a pair with a finished side whose answer is wrong."""
    validation_share: float = Field(0.02, ge=0, lt=1)
    """Share of the pairs kept out of training for the validation loss."""
