"""Configuration of stage `evaluate`: three models in three modes on every benchmark."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from schemas.configs.stage import ComputeConfig


class EvaluateConfig(ComputeConfig):
    """How held-out problems are answered and graded."""

    temperature: float = Field(0.6, gt=0)
    """Sampling temperature (paper: 0.6)."""
    top_p: float = Field(0.95, gt=0, le=1)
    """Nucleus of the sampling distribution (paper: 0.95)."""
    num_samples: int = Field(1, ge=1)
    """Completions per problem, model and mode (paper: 5)."""
    max_new_tokens: int = Field(ge=2)
    """Limit of a completion; a longer one is truncated and counts as wrong."""
    short_max_tokens: int = Field(ge=1)
    """A short completion with more tokens is counted as fake short."""
    limit: int | None = Field(None, ge=1)
    """Use only the first problems of each benchmark, for a quick look."""
    batch_size: int = Field(256, ge=1)
    """Completions sampled side by side; changes memory and speed, not what is sampled."""

    @model_validator(mode="after")
    def _short_limit_can_be_met(self) -> Self:
        if self.short_max_tokens > self.max_new_tokens:
            raise ValueError(
                f"short_max_tokens={self.short_max_tokens} is over max_new_tokens={self.max_new_tokens}, "
                "so it would have no effect; lower it"
            )
        return self
