"""The teacher that replays a file of completions.

.jsonl -> (question, mode) -> completion, cut at the limit, counted in the student's tokens
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from schemas.errors import TeacherError
from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.problems import Problem
from thinkless_core.problems.problem_set import normalise
from thinkless_core.teachers.reply import TeacherReply, within_limit


class RecordingTeacher:
    """Replays recorded completions, looked up by question (and mode, if the recording names it)."""

    def __init__(self, path: str, *, tokenizer: PreTrainedTokenizerBase) -> None:
        self.path = path
        self._tokenizer = tokenizer

    @property
    def name(self) -> str:
        """The recording's file name."""
        return f"recorded:{Path(self.path).name}"

    def answer(self, problems: Sequence[Problem], *, mode: Mode, max_tokens: int, seed: int) -> list[TeacherReply]:
        """See Teacher.answer; raises TeacherError for a problem that is not recorded."""
        recording = self._read()
        replies = []
        for problem in problems:
            question = normalise(problem.question)
            row = recording.get((question, mode)) or recording.get((question, None))
            if row is None:
                raise TeacherError(
                    f"problem {problem.problem_id}: {self.path} holds no {mode} completion for prompt "
                    f"{question[:60]!r}; record it, or limit the problems to those recorded"
                )
            text, finish_reason = row
            body = within_limit(text, finish_reason, max_tokens=max_tokens, tokenizer=self._tokenizer)
            replies.append(TeacherReply(*body, mode))
        return replies

    def close(self) -> None:
        """Holds nothing."""

    def _read(self) -> dict[tuple[str, Mode | None], tuple[str, FinishReason]]:
        """(prompt, mode or None) -> (completion, finish reason); errors name file and line."""
        recording = {}
        try:
            lines = Path(self.path).read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise TeacherError(f"recording {self.path}: {error}; check teach.*.teacher.path") from error
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"recording {self.path}, line {number}"
            try:
                row = json.loads(line)
                mode = Mode(row["mode"]) if "mode" in row else None
                finish = FinishReason(row.get("finish_reason", "stop"))
                recording[normalise(row["prompt"]), mode] = ((row["completion"] or "").strip(), finish)
            except json.JSONDecodeError as error:
                raise TeacherError(f"{where}: not JSON ({error.msg}); expected one object per line") from error
            except KeyError as error:
                raise TeacherError(f"{where}: no column {error}; expected prompt and completion") from error
            except ValueError as error:
                raise TeacherError(f"{where}: {error}; modes: short, think; finish reasons: stop, length") from error
            except (AttributeError, TypeError) as error:
                raise TeacherError(
                    f"{where}: {line[:60]!r} is no object with text in prompt and completion; mend or drop the line"
                ) from error
        return recording
