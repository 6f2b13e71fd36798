"""Teachers: who answers each problem at length, and who briefly.

problems -> Teacher.answer(mode) -> TeacherReplies -> Generations (control token put in front, answer graded)
A teacher returns the text AFTER the control token; a think answer is `reasoning</think>value`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from transformers import PreTrainedTokenizerBase

from schemas.configs.teach import ProceduralTeacher, RecordedTeacher, TeacherSide
from schemas.errors import TeacherError
from schemas.mode import THINK_END, Mode
from schemas.records import FinishReason, Generation, Problem
from thinkless_core.grading import extract_answer, is_correct
from thinkless_core.problem_set import normalise
from thinkless_core.procedural import work_out
from thinkless_core.seeding import random_stream


@dataclass(frozen=True)
class TeacherReply:
    """What a teacher wrote about one problem."""

    text: str
    """Body of the completion, without the control token in front."""
    finish_reason: FinishReason
    num_tokens: int
    """Generated tokens as the teacher counts them, end included."""
    mode: Mode
    """The mode the teacher says it answered in."""


class Teacher(Protocol):
    """Answers problems in one mode; the same problems, mode and seed give the same replies."""

    @property
    def name(self) -> str:
        """Who it is, for the record."""
        ...

    def answer(self, problems: Sequence[Problem], *, mode: Mode, max_tokens: int, seed: int) -> list[TeacherReply]:
        """One reply per problem, cut at `max_tokens`; raises TeacherError."""
        ...


@dataclass(frozen=True)
class ChainTeacher:
    """Works procedural chains out; long answers repeat the whole working as a re-check, on easy problems too."""

    config: ProceduralTeacher
    tokenizer: PreTrainedTokenizerBase

    name = "procedural-chains"

    def answer(self, problems: Sequence[Problem], *, mode: Mode, max_tokens: int, seed: int) -> list[TeacherReply]:
        """See Teacher.answer. Tokens are those of the student's tokenizer."""
        return [self._reply(problem, mode=mode, max_tokens=max_tokens, seed=seed) for problem in problems]

    def _reply(self, problem: Problem, *, mode: Mode, max_tokens: int, seed: int) -> TeacherReply:
        working = work_out(problem.prompt)
        if working is None:
            raise TeacherError(
                f"problem {problem.problem_id}: the procedural teacher works out chains like '37+48*12=?', got "
                f"{problem.prompt[:60]!r}; configure another teacher for this source"
            )
        text = working.answer
        if mode is Mode.THINK:
            weights = self.config.recheck_weights
            stream = random_stream("rechecks", seed, problem.problem_id)
            rechecks = int(stream.choice(len(weights), p=[w / sum(weights) for w in weights]))
            text = ";".join([",".join(working.steps)] * (1 + rechecks)) + THINK_END + working.answer
        ids = self.tokenizer(text, add_special_tokens=False).input_ids
        generated = len(ids) + 2  # control token and end token
        if generated <= max_tokens:
            return TeacherReply(text, FinishReason.STOP, generated, mode)
        cut = self.tokenizer.decode(ids[: max_tokens - 1], skip_special_tokens=False)
        return TeacherReply(cut, FinishReason.LENGTH, max_tokens, mode)


@dataclass(frozen=True)
class RecordingTeacher:
    """Replays completions somebody recorded, looked up by prompt (and mode, where the recording names it)."""

    config: RecordedTeacher
    tokenizer: PreTrainedTokenizerBase

    @property
    def name(self) -> str:
        """The recording's file name."""
        return f"recorded:{Path(self.config.path).name}"

    def answer(self, problems: Sequence[Problem], *, mode: Mode, max_tokens: int, seed: int) -> list[TeacherReply]:
        """See Teacher.answer; raises TeacherError for a problem nobody recorded."""
        recording = self._read()
        replies = []
        for problem in problems:
            row = recording.get((problem.prompt, mode)) or recording.get((problem.prompt, None))
            if row is None:
                raise TeacherError(
                    f"problem {problem.problem_id}: {self.config.path} holds no {mode} completion for prompt "
                    f"{problem.prompt[:60]!r}; record it, or limit the problems to those recorded"
                )
            text, finish_reason = row
            ids = self.tokenizer(text, add_special_tokens=False).input_ids
            if len(ids) + 2 > max_tokens:
                text = self.tokenizer.decode(ids[: max_tokens - 1], skip_special_tokens=False)
                finish_reason = FinishReason.LENGTH
            num_tokens = len(ids) + 1 + (finish_reason is FinishReason.STOP)  # the control and the end token
            replies.append(TeacherReply(text, finish_reason, min(num_tokens, max_tokens), mode))
        return replies

    def _read(self) -> dict[tuple[str, Mode | None], tuple[str, FinishReason]]:
        """(prompt, mode or None) -> (completion, finish reason); errors name file and line."""
        recording = {}
        try:
            lines = Path(self.config.path).read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise TeacherError(f"recording {self.config.path}: {error}; check teach.*.teacher.path") from error
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"recording {self.config.path}, line {number}"
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


def build_teacher(side: TeacherSide, *, tokenizer: PreTrainedTokenizerBase) -> Teacher:
    """The teacher a configuration asks for; `tokenizer` is the student's, for counting where a teacher has none."""
    if isinstance(side.teacher, ProceduralTeacher):
        return ChainTeacher(side.teacher, tokenizer)
    return RecordingTeacher(side.teacher, tokenizer)


def ask_teacher(
    teacher: Teacher, problems: Sequence[Problem], *, mode: Mode, max_tokens: int, seed: int
) -> list[Generation]:
    """Replies as generations: control token put in front, final value extracted and graded.

    The row's mode is the one the teacher says it answered in; validation refuses it where that is not `mode`.
    """
    replies = teacher.answer(problems, mode=mode, max_tokens=max_tokens, seed=seed)
    generations = []
    for problem, reply in zip(problems, replies, strict=True):
        completion = reply.mode.token + reply.text
        truncated = reply.finish_reason is FinishReason.LENGTH
        answer = None if truncated else extract_answer(completion)
        generations.append(
            Generation(
                generation_id=f"{mode}-{problem.problem_id}",
                problem_id=problem.problem_id,
                prompt=problem.prompt,
                mode=reply.mode,
                completion=completion,
                answer=answer,
                num_tokens=reply.num_tokens,
                finish_reason=reply.finish_reason,
                truncated=truncated,
                correct=is_correct(answer, reference=problem.answer),
                teacher=teacher.name,
            )
        )
    return generations
