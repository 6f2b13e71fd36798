"""Teachers that replay what a file or a data set already holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from schemas.configs.source import Licence, Source, SourceConfig
from schemas.configs.teacher import TeacherConfig
from schemas.errors import TeacherError
from schemas.mode import Mode


class RecordedTeacher(TeacherConfig):
    """Replays recorded completions: a .jsonl file of your own, or a field of a data set.

    The file answers every problem. A data set answers those it holds; the others are dropped and counted
    (`not_recorded`).
    """

    implementation: ClassVar[str | None] = "thinkless_core.teachers.recorded_source:recorded_teacher"

    kind: Literal["recorded"] = "recorded"
    path: str | None = Field(None, min_length=1)
    """A .jsonl file with `prompt`, `completion` and optionally `mode`, `finish_reason`, relative to the current
    directory or absolute; its content is part of the stage's key."""
    source: Source | None = None
    """A data set, such as `{kind = "preset", name = "openthoughts2"}`; the think side replays its reasoning traces."""
    completion_field: str | None = Field(None, min_length=1)
    """Field of `source` that is replayed: worked solutions for the short side (GSM8K's `answer`), reasoning traces for
    the think side, where it takes the place of the source's own `trace_field`."""

    @model_validator(mode="after")
    def _one_recording(self) -> Self:
        if (self.path is None) == (self.source is None):
            got = "neither" if self.path is None else "both"
            raise ValueError(f"needs path, a recording of your own, or source, a data set; got {got}")
        if self.completion_field is not None and self.source is None:
            raise ValueError("completion_field names a field of source; a recording in path has its own `completion`")
        if self.source is not None:
            _refuse_unless_replayable(self.source)
        return self

    def refuse_mode(self, mode: Mode) -> None:
        """See TeacherConfig.refuse_mode."""
        if mode is Mode.SHORT and self.source is not None and self.completion_field is None:
            raise ValueError(
                "short.teacher.completion_field is not set: the short side replays worked solutions of a data set; "
                "name their field, such as `answer` of gsm8k or `solution` of math"
            )

    def local_paths(self) -> tuple[str, ...]:
        """The recording of one's own."""
        return () if self.path is None else (self.path,)

    def replayed(self) -> SourceConfig | None:
        """See TeacherConfig.replayed."""
        return self.source

    def recorded_rows(self, source: SourceConfig, mode: Mode) -> Iterator[tuple[str, str | None]]:
        """See TeacherConfig.recorded_rows: reasoning traces to think, worked solutions to be short."""
        if mode is Mode.THINK:
            return source.traces(field=self.completion_field)
        if self.completion_field is None:
            raise TeacherError(
                f"recorded:{source.display_name()} replays short answers only if completion_field names the field with "
                "worked solutions"
            )
        return source.solutions(field=self.completion_field)

    def licence(self) -> Licence:
        """See TeacherConfig.licence."""
        return Licence(PurePath(self.path or "").name, None, "a recording of your own")


class WorkedSolutionsTeacher(TeacherConfig):
    """Thinks aloud along a data set's worked solutions and does every calculation in them again before it answers.

    It replaces a reasoning model if there is none. It reads GSM8K's layout: calculations marked as `<<48/2=24>>`, a
    last line `#### 72`. Problems that the data set does not hold are dropped and counted (`not_recorded`).
    """

    implementation: ClassVar[str | None] = "thinkless_core.teachers.worked_solutions:ThinkingAloudTeacher"

    kind: Literal["worked_solutions"] = "worked_solutions"
    source: Source
    """A data set, such as `{kind = "preset", name = "gsm8k", split = "train"}`."""
    completion_field: str = Field("answer", min_length=1)
    """Its field with the worked solutions."""
    rechecks: int = Field(1, ge=1)
    """How often all calculations are done again."""

    @model_validator(mode="after")
    def _can_be_replayed(self) -> Self:
        _refuse_unless_replayable(self.source)
        return self

    def replayed(self) -> SourceConfig:
        """See TeacherConfig.replayed."""
        return self.source

    def recorded_rows(self, source: SourceConfig, mode: Mode) -> Iterator[tuple[str, str | None]]:
        """See TeacherConfig.recorded_rows: worked solutions in both modes."""
        return source.solutions(field=self.completion_field)


def _refuse_unless_replayable(source: SourceConfig) -> None:
    if not source.replayable:
        raise ValueError(
            f"source {source.display_name()} holds no recorded answers; give a data set (kind local, hub or preset)"
        )
