"""The teacher that replays a data set: its reasoning traces, or its worked solutions.

source -> (question, traces | solution) -> ReplayingTeacher
"""

from __future__ import annotations

from collections.abc import Iterator

from schemas.configs.recorded_teachers import RecordedTeacher
from schemas.configs.source import Recorded
from schemas.configs.teacher import TeacherConfig, TeacherTools
from schemas.mode import Mode
from schemas.records.problems import Problem
from thinkless_core.problems.answer_fields import solution_completion
from thinkless_core.teachers.recorded_file import RecordingTeacher
from thinkless_core.teachers.replaying import NOT_RECORDED, ReplayingTeacher
from thinkless_core.teachers.reply import Teacher, UnusableReply


def recorded_teacher(config: RecordedTeacher, tools: TeacherTools) -> Teacher:
    """The teacher that replays a file, or a data set."""
    if config.source is not None:
        return RecordedSourceTeacher(config, tools)
    assert config.path is not None
    return RecordingTeacher(config.path, tokenizer=tools.tokenizer, scratch=tools.scratch)


class RecordedSourceTeacher(ReplayingTeacher):
    """Answers the problems its source holds; the others are dropped, with the reason `not_recorded`."""

    kind = "recorded"

    def __init__(self, config: TeacherConfig, tools: TeacherTools) -> None:
        super().__init__(tools)
        source = config.replayed()
        assert source is not None
        self._config = config
        self._source = source

    @property
    def name(self) -> str:
        """The kind, and the preset's, file's or data set's name."""
        return f"{self.kind}:{self._source.display_name()}"

    def completions(self, mode: Mode) -> Iterator[tuple[str, Recorded]]:
        """See ReplayingTeacher.completions; a worked solution without a value after its mark is none."""
        for question, recorded in self._config.recorded_rows(self._source, mode):
            short = mode is Mode.SHORT and isinstance(recorded, str)
            yield question, solution_completion(str(recorded)) if short else recorded

    def missing(self, problem: Problem, mode: Mode) -> UnusableReply:
        """Dropped, and counted."""
        return UnusableReply(NOT_RECORDED, f"(no row of {self._source.display_name()} asks this question)")
