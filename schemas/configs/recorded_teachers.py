"""Teachers that replay what a file or a data set already holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas.configs.source import Licence, Recorded, Source, SourceConfig
from schemas.configs.stage import LocalPath
from schemas.configs.teacher import TeacherConfig
from schemas.errors import TeacherError
from schemas.mode import Mode


class RecordedTeacher(TeacherConfig):
    """Replays recorded completions: a file of your own, or a field of a data set.

    Thoughts may be written in tags of any known kind (`<think>`, `[THINK]`, `<|begin_of_thought|>`, ...: see
    thinkless_core/teachers/notations.py) or in a field of their own. Of several answers to a question, in a list or in
    several rows, the first is replayed that the problem's verifier judges correct, else the first complete one.
    A file has to hold every problem. Of a data set those it does not hold are dropped and counted (`not_recorded`).
    Answers that are there and cannot be used are dropped and counted by their true reason, such as `empty`,
    `reasoning_not_ended`, `marked_wrong` or `unknown_notation:MARK`.
    """

    implementation: ClassVar[str | None] = "thinkless_core.teachers.recorded_source:recorded_teacher"

    kind: Literal["recorded"] = "recorded"
    path: LocalPath | None = Field(None, min_length=1)
    """A .jsonl, .json or .parquet file with `prompt`, `completion` and optionally `mode`, `finish_reason`, relative to
    the current directory or absolute; its content is part of the stage's key. `completion` is a text, a message, or a
    list of them; a thought may stand beside it in `reasoning_content`, `reasoning` or `thinking`. For files with other
    columns take `source={kind="local", ...}`."""
    source: Source | None = None
    """A data set, such as `{kind = "preset", name = "openthoughts2"}`; the think side replays its reasoning traces."""
    completion_field: str | None = Field(None, min_length=1)
    """Field of `source` that is replayed: worked solutions for the short side (GSM8K's `answer`), reasoning traces for
    the think side, where it takes the place of the source's own `trace_field`."""
    thinking_field: str | None = Field(None, min_length=1)
    """Field of `source` with the reasoning, if it stands apart from the answer in `completion_field` (s1K's
    `deepseek_thinking_trajectory` beside `deepseek_attempt`)."""

    @field_validator("path")
    @classmethod
    def _is_a_file(cls, path: str | None) -> str | None:
        if path is not None and "://" in path:
            raise ValueError(
                f"{path!r} is an address; download it and give the file, or give a data set of the Hub as "
                'source={kind="hub", id="owner/name"}'
            )
        return path

    @model_validator(mode="after")
    def _one_recording(self) -> Self:
        if (self.path is None) == (self.source is None):
            got = "neither" if self.path is None else "both"
            raise ValueError(f"needs path, a recording of your own, or source, a data set; got {got}")
        if self.completion_field is not None and self.source is None:
            raise ValueError("completion_field names a field of source; a recording in path has its own `completion`")
        if self.thinking_field is not None and self.source is None:
            raise ValueError("thinking_field names a field of source; a recording in path has `reasoning_content`")
        if self.source is not None:
            _refuse_unless_replayable(self.source)
        return self

    def refuse_mode(self, mode: Mode) -> None:
        """See TeacherConfig.refuse_mode."""
        if mode is Mode.SHORT and self.thinking_field is not None:
            raise ValueError("short.teacher.thinking_field: a short answer has no reasoning; leave it out")
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

    def recorded_rows(self, source: SourceConfig, mode: Mode) -> Iterator[tuple[str, Recorded]]:
        """See TeacherConfig.recorded_rows: reasoning traces to think, worked solutions to be short."""
        if mode is Mode.THINK:
            # Left out if it is not set: a source of the user's own may not know it.
            apart = {} if self.thinking_field is None else {"thinking_field": self.thinking_field}
            return source.traces(field=self.completion_field, **apart)
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

    def recorded_rows(self, source: SourceConfig, mode: Mode) -> Iterator[tuple[str, Recorded]]:
        """See TeacherConfig.recorded_rows: worked solutions in both modes."""
        return source.solutions(field=self.completion_field)


def _refuse_unless_replayable(source: SourceConfig) -> None:
    if not source.replayable:
        raise ValueError(
            f"source {source.display_name()} holds no recorded answers; give a data set (kind local, hub or preset)"
        )
