"""Configuration of stage `report`."""

from __future__ import annotations

from pydantic import Field

from schemas.configs.stage import StageConfig


class ReportConfig(StageConfig):
    """The HTML report and the model and data set cards."""

    title: str = "Thinkless: does it know when to think?"
    """Headline of the page."""
    examples: int = Field(12, ge=0)
    """Held-out problems shown with their completions before anything is filtered, spread over difficulties; 0 leaves
    out the browser of examples."""
