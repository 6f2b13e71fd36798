"""Configuration of stage `problems`: where training problems and benchmarks come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from schemas.configs.stage import StageConfig, Table


class ProceduralSource(Table):
    """Chains of + - * on two-digit numbers, last digit asked for; the difficulty is the number of operations."""

    kind: Literal["procedural"] = "procedural"
    num_problems: int = Field(ge=1)
    """Distinct problems to make."""
    mix: tuple[float, ...] = Field(min_length=1, max_length=8)
    """Share of problems with 1, 2, 3, ... operations; adds up to 1."""

    @field_validator("mix")
    @classmethod
    def _is_a_distribution(cls, mix: tuple[float, ...]) -> tuple[float, ...]:
        if min(mix) < 0 or abs(sum(mix) - 1) > 1e-6:
            raise ValueError(f"shares must be >= 0 and add up to 1, got {mix} (sum {sum(mix):g})")
        return mix


class LocalSource(Table):
    """A local .jsonl, .json or .parquet file with one problem per row."""

    kind: Literal["local"] = "local"
    path: str = Field(min_length=1)
    """The file, relative to the current directory or absolute; its content is part of the stage's key."""
    prompt_field: str = "prompt"
    """Column with the problem's text."""
    answer_field: str = "answer"
    """Column with the reference answer; text after a `####` mark is taken where there is one."""
    difficulty_field: str | None = None
    """Column with a whole-number difficulty, if the file has one."""
    limit: int | None = Field(None, ge=1)
    """Read at most this many rows."""


Source = Annotated[ProceduralSource | LocalSource, Field(discriminator="kind")]


class ProblemsConfig(StageConfig):
    """Training problems and held-out benchmarks."""

    source: Source
    """Training problems; those that also stand in a benchmark are removed and counted."""
    rl_source: Source | None = None
    """Problems for RL alone, as in the paper, which warms up on one data set and reinforces on another. Those that
    also stand in `source` are removed and counted."""
    rl_share: float = Field(0.3, gt=0, lt=1)
    """Without `rl_source`: share of the training problems kept for RL, so that it meets problems it was not taught."""
    benchmarks: dict[str, Source] = Field(min_length=1)
    """Held-out problems by benchmark name."""

    def unused_fields(self) -> dict[str, str]:
        """`rl_share` splits nothing where RL has a source of its own."""
        return {"rl_share": "problems.rl_source gives RL its own problems"} if self.rl_source is not None else {}
