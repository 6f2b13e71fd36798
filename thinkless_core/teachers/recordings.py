"""The teacher that replays a file of completions.

.jsonl -> (question, mode) -> completion, cut at the limit, counted in the student's tokens
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from schemas.errors import TeacherError
from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.problems import Problem
from thinkless_core.problems.problem_set import normalise
from thinkless_core.teachers.reply import TeacherReply


@dataclass(frozen=True)
class RecordingTeacher:
    """Replays completions somebody recorded, looked up by question (and mode, where the recording names it)."""

    path: str
    tokenizer: PreTrainedTokenizerBase

    @property
    def name(self) -> str:
        """The recording's file name."""
        return f"recorded:{Path(self.path).name}"

    def answer(self, problems: Sequence[Problem], *, mode: Mode, max_tokens: int, seed: int) -> list[TeacherReply]:
        """See Teacher.answer; raises TeacherError for a problem nobody recorded."""
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
            ids = self.tokenizer(text, add_special_tokens=False).input_ids
            if len(ids) + 2 > max_tokens:
                text = self.tokenizer.decode(ids[: max_tokens - 1], skip_special_tokens=False)
                finish_reason = FinishReason.LENGTH
            num_tokens = len(ids) + 1 + (finish_reason is FinishReason.STOP)  # the control and the end token
            replies.append(TeacherReply(text, finish_reason, min(num_tokens, max_tokens), mode))
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
