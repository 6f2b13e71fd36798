"""Asking a teacher: problems -> replies -> generations, with every answer that was dropped told by its reason.

Of several answers to a problem the first right one is kept, and no more are asked for; without a right one, the first
that may be kept. The row's mode is the one the teacher says it answered in: validation refuses another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from schemas.chat import ChatService
from schemas.configs.teach import (
    OpenAITeacher,
    ProceduralTeacher,
    RecordedTeacher,
    SampledTeacher,
    TeacherSide,
    TransformersTeacher,
    WorkedSolutionsTeacher,
)
from schemas.errors import TeacherError
from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.generations import Generation
from schemas.records.problems import Problem
from thinkless_core.grading.extraction import extract_answer
from thinkless_core.grading.strict import is_correct
from thinkless_core.seeding import derive_seed
from thinkless_core.teachers.chains import ChainTeacher
from thinkless_core.teachers.chat import ChatTeacher
from thinkless_core.teachers.local_model import LocalModelTeacher
from thinkless_core.teachers.recorded_source import RecordedSourceTeacher
from thinkless_core.teachers.recordings import RecordingTeacher
from thinkless_core.teachers.reply import Teacher, TeacherReply, UnusableReply
from thinkless_core.teachers.vllm_teacher import VllmEngineTeacher

REJECTED = "rejected_wrong"
"""Reason of a drop where a finished answer is wrong and wrong ones are rejected."""


@dataclass(frozen=True)
class DroppedAnswer:
    """A problem that a teacher left without an answer worth keeping."""

    problem_id: str
    mode: Mode
    reason: str
    text: str
    """What the teacher wrote, at the first try."""
    teacher: str


class SampleRules(NamedTuple):
    """How many answers a problem gets, and which are kept."""

    num_samples: int = 1
    reject_wrong: bool = False

    @classmethod
    def of(cls, side: TeacherSide) -> SampleRules:
        """Those of a configuration; a teacher that is no language model answers once."""
        teacher = side.teacher
        return cls(teacher.num_samples, teacher.reject_wrong) if isinstance(teacher, SampledTeacher) else cls()


def build_teacher(
    side: TeacherSide,
    *,
    tokenizer: PreTrainedTokenizerBase,
    connect: Callable[[OpenAITeacher], ChatService] | None = None,
    scratch: Path | None = None,
) -> Teacher:
    """The teacher a configuration asks for; `tokenizer` is the student's, for counting where a teacher has none.

    `connect` opens the endpoint of a teacher of kind `openai`, which cannot be built without it. `scratch` is a folder
    for what a teacher keeps on disk while it answers.
    """
    config = side.teacher
    if isinstance(config, ProceduralTeacher):
        return ChainTeacher(config, tokenizer)
    if isinstance(config, RecordedTeacher):
        if config.source is None:
            assert config.path is not None
            return RecordingTeacher(config.path, tokenizer)
        field = config.completion_field
        return RecordedSourceTeacher(config.source, completion_field=field, tokenizer=tokenizer, scratch=scratch)
    if isinstance(config, WorkedSolutionsTeacher):
        return RecordedSourceTeacher(
            config.source,
            completion_field=config.completion_field,
            tokenizer=tokenizer,
            scratch=scratch,
            rechecks=config.rechecks,
        )
    if isinstance(config, OpenAITeacher):
        assert connect is not None, "a teacher behind an endpoint needs somebody who connects"
        return ChatTeacher(config, tokenizer, connect(config))
    if isinstance(config, TransformersTeacher):
        return LocalModelTeacher(config, tokenizer=tokenizer)
    return VllmEngineTeacher(config, tokenizer=tokenizer)


def refuse_drops(dropped: DroppedAnswer) -> None:
    """For callers that expect an answer to every problem; raises TeacherError."""
    raise TeacherError(
        f"problem {dropped.problem_id}: the {dropped.mode} answer of {dropped.teacher} cannot be used "
        f"({dropped.reason}): {dropped.text[:60]!r}; expected an answer to every problem here"
    )


def ask_teacher(
    teacher: Teacher,
    problems: Sequence[Problem],
    *,
    mode: Mode,
    max_tokens: int,
    seed: int,
    rules: SampleRules = SampleRules(),  # noqa: B008 - it is immutable
    on_drop: Callable[[DroppedAnswer], None] = refuse_drops,
) -> list[Generation]:
    """Replies as generations in the order of the problems, graded; a problem without a usable answer goes to `on_drop`.

    Raises TeacherError, and Transient where trying later may help.
    """
    best: dict[str, Generation | DroppedAnswer] = {}
    waiting = list(problems)
    for sample in range(rules.num_samples):
        if not waiting:
            break
        sample_seed = seed if sample == 0 else derive_seed("teacher sample", seed, sample)
        replies = teacher.answer(waiting, mode=mode, max_tokens=max_tokens, seed=sample_seed)
        unsolved = []
        for problem, reply in zip(waiting, replies, strict=True):
            outcome = _graded(problem, reply, mode=mode, teacher=teacher.name, reject_wrong=rules.reject_wrong)
            right = isinstance(outcome, Generation) and outcome.correct
            known = best.get(problem.problem_id)
            better = isinstance(known, DroppedAnswer) and isinstance(outcome, Generation)
            if known is None or right or better:
                best[problem.problem_id] = outcome
            if not right:
                unsolved.append(problem)
        waiting = unsolved
    generations = []
    for problem in problems:
        chosen = best[problem.problem_id]
        if isinstance(chosen, Generation):
            generations.append(chosen)
        else:
            on_drop(chosen)
    return generations


def _graded(
    problem: Problem, reply: TeacherReply | UnusableReply, *, mode: Mode, teacher: str, reject_wrong: bool
) -> Generation | DroppedAnswer:
    """Control token put in front, final value extracted and graded."""
    if isinstance(reply, UnusableReply):
        return DroppedAnswer(problem.problem_id, mode, reply.reason, reply.text, teacher)
    completion = reply.mode.token + reply.text
    truncated = reply.finish_reason is FinishReason.LENGTH
    answer = None if truncated else extract_answer(completion)
    correct = is_correct(answer, reference=problem.answer)
    if reject_wrong and not truncated and not correct:
        return DroppedAnswer(problem.problem_id, mode, REJECTED, reply.text, teacher)
    return Generation(
        generation_id=f"{mode}-{problem.problem_id}",
        problem_id=problem.problem_id,
        prompt=problem.prompt,
        mode=reply.mode,
        completion=completion,
        answer=answer,
        num_tokens=reply.num_tokens,
        finish_reason=reply.finish_reason,
        truncated=truncated,
        correct=correct,
        teacher=teacher,
    )
