"""Configuration of stage `teach`: who answers each problem at length, and who briefly."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from schemas.configs.stage import StageConfig, Table
from schemas.mode import Mode


class ProceduralTeacher(Table):
    """Works procedural problems out itself; its long answers re-check themselves, on easy problems too."""

    kind: Literal["procedural"] = "procedural"
    recheck_weights: tuple[float, ...] = (0.0, 0.7, 0.3)
    """Relative frequency of 0, 1, 2, ... re-checks of the whole chain in a long answer."""

    @field_validator("recheck_weights")
    @classmethod
    def _some_weight(cls, weights: tuple[float, ...]) -> tuple[float, ...]:
        if not weights or min(weights) < 0 or sum(weights) == 0:
            raise ValueError(f"needs at least one weight above 0 and none below, got {weights}")
        return weights


class RecordedTeacher(Table):
    """Replays completions from a .jsonl file: `prompt`, `completion` and optionally `mode`, `finish_reason`."""

    kind: Literal["recorded"] = "recorded"
    path: str = Field(min_length=1)
    """The file, relative to the current directory or absolute; its content is part of the stage's key."""


Teacher = Annotated[ProceduralTeacher | RecordedTeacher, Field(discriminator="kind")]


class TeacherSide(Table):
    """One teacher and its limit."""

    teacher: Teacher
    max_tokens: int = Field(ge=2)
    """Generated tokens after which an answer is cut and marked truncated (finish reason `length`)."""


class TeachConfig(StageConfig):
    """Both teachers."""

    think: TeacherSide
    short: TeacherSide
    chunk_size: int = Field(1000, ge=1)
    """Problems per chunk; a finished chunk is never asked for again after a crash."""


class TeachSideConfig(StageConfig):
    """The slice of one mode: what the key of its artifact depends on."""

    mode: Mode
    """Which side of the pairs this is."""
    side: TeacherSide
    """The teacher of that side, and its limit."""
    chunk_size: int
    """Problems per chunk."""
