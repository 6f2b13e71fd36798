"""The teacher that replays a file of completions.

.jsonl | .json | .parquet -> (question, answers, each for one mode or for any) -> ReplayingTeacher
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from transformers import PreTrainedTokenizerBase

from schemas.configs.problems import LocalSource
from schemas.configs.source import Recorded, RecordedAnswer
from schemas.configs.teacher import TeacherTools
from schemas.errors import SourceError, TeacherError
from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.problems import Problem
from thinkless_core.problems.recorded_answers import THINKING_KEYS, recorded_answers
from thinkless_core.problems.source_files import FileReader
from thinkless_core.teachers.replaying import ReplayingTeacher
from thinkless_core.teachers.reply import UnusableReply

ANSWERS = ("completion", "completions", "generations", "content", "response")
"""Columns that hold the answers; the first that a row has is read."""
ANSWERS_BESIDE_A_THOUGHT = ("answer", "attempt", "solution", "output")
"""Columns that hold them in a row that has a column of thoughts."""
THOUGHTS = (*THINKING_KEYS, "thinking_trajectories")
"""Columns with the thoughts."""
_OTHER_COLUMNS = (
    'a file with other columns is read by source={kind="local", path=..., prompt_field=...}, completion_field and '
    "thinking_field"
)


class RecordingTeacher(ReplayingTeacher):
    """Replays recorded completions, looked up by question (and mode, if the recording names it)."""

    def __init__(self, path: str, *, tokenizer: PreTrainedTokenizerBase, scratch: Path | None = None) -> None:
        super().__init__(TeacherTools(tokenizer, scratch=scratch))
        self.path = path

    @property
    def name(self) -> str:
        """The recording's file name."""
        return f"recorded:{Path(self.path).name}"

    def completions(self, mode: Mode) -> Iterator[tuple[str, Recorded]]:
        """See ReplayingTeacher.completions; errors name file and line."""
        try:
            with Path(self.path).open("rb"):
                pass
            for where, row in FileReader(LocalSource(path=self.path)).rows(()):
                yield _row(row, where=f"recording {where}")
        except OSError as error:
            raise TeacherError(f"recording {self.path}: {error}; check teach.*.teacher.path") from error
        except SourceError as error:
            told = str(error).removeprefix("recording ")
            raise TeacherError(
                f"recording {told} (expected an object with text in prompt and completion in each row; mend or drop "
                "the line, or check teach.*.teacher.path)"
            ) from error

    def missing(self, problem: Problem, mode: Mode) -> UnusableReply:
        """Raises TeacherError: a recording of one's own has to hold every problem."""
        other = next(other for other in Mode if other is not mode)
        assert self._recorded is not None
        there = self._recorded[1].find(problem.question, other)
        cause = f"the question is there for mode {other} alone" if there else "the file does not have the question"
        raise TeacherError(
            f"problem {problem.problem_id}: {self.path} holds no {mode} completion for prompt "
            f"{problem.question[:60]!r}: {cause}; record it, or limit the problems to those recorded"
        )


def _row(row: Mapping[str, JsonValue], *, where: str) -> tuple[str, tuple[RecordedAnswer, ...]]:
    """(question, answers) of one row; raises TeacherError or SourceError."""
    prompt = _column(row, ("prompt",), where=where)
    if not isinstance(prompt, str) or not prompt.strip():
        raise SourceError(f"{where}: the prompt is {prompt!r:.60}, no object with text in prompt")
    thought = next((row[name] for name in THOUGHTS if row.get(name) is not None), None)
    held = _column(row, ANSWERS if thought is None else (*ANSWERS, *ANSWERS_BESIDE_A_THOUGHT), where=where)
    answers = recorded_answers(held, thoughts=thought, where=where, key="completion")
    try:
        mode = None if row.get("mode") is None else Mode(str(row["mode"]))
        finishes = row.get("finish_reason")
        listed: list[Any] = finishes if isinstance(finishes, list) else [finishes] * len(answers)
        finished = [FinishReason(one or "stop") is FinishReason.STOP for one in listed]
    except ValueError as error:
        raise TeacherError(f"{where}: {error}; modes: short, think; finish reasons: stop, length") from error
    if len(finished) != len(answers):
        raise TeacherError(f"{where}: {len(finished)} finish reasons for {len(answers)} answers, expected one for each")
    return prompt, tuple(
        answer._replace(finished=ended, mode=mode) for answer, ended in zip(answers, finished, strict=True)
    )


def _column(row: Mapping[str, JsonValue], names: tuple[str, ...], *, where: str) -> JsonValue:
    for name in names:
        if name in row:
            return row[name]
    raise TeacherError(
        f"{where}: no column {names[0]!r}, the columns are {', '.join(sorted(row))}; expected prompt and completion: "
        f"{_OTHER_COLUMNS}"
    )
