"""Asking a teacher: problems -> replies -> judged generations; every answer that is dropped has a reason.

Of several answers to a problem the first right one is kept, and no more are asked for; without a right one, the first
that may be kept. The row's mode is the one the teacher says it answered in: validation refuses another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from schemas.configs.teacher import SampleRules
from schemas.errors import TeacherError
from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.generations import Generation
from schemas.records.problems import Problem
from thinkless_core.grading.verdict import Verdict
from thinkless_core.grading.verifier import judge_completions
from thinkless_core.seeding import derive_seed
from thinkless_core.teachers.reply import Teacher, TeacherReply, UnusableReply

REJECTED = "rejected_wrong"
"""Reason of a drop: a finished answer is wrong, and wrong ones are rejected."""


@dataclass(frozen=True)
class DroppedAnswer:
    """A problem without an answer of a teacher that can be kept."""

    problem_id: str
    mode: Mode
    reason: str
    text: str
    """What the teacher wrote, at the first try."""
    teacher: str
    answer: str | None = None
    """The value that was read, where the answer was judged."""


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
    """Replies as generations in the order of the problems, judged; a problem without a usable answer goes to `on_drop`.

    Raises TeacherError, and Transient if trying later may help.
    """
    best: dict[str, Generation | DroppedAnswer] = {}
    waiting = list(problems)
    for sample in range(rules.num_samples):
        if not waiting:
            break
        sample_seed = seed if sample == 0 else derive_seed("teacher sample", seed, sample)
        replies = teacher.answer(waiting, mode=mode, max_tokens=max_tokens, seed=sample_seed)
        verdicts = judge_completions(waiting, [_finished_text(reply) for reply in replies])
        unsolved = []
        for problem, reply, verdict in zip(waiting, replies, verdicts, strict=True):
            outcome = _outcome(problem, reply, verdict, mode=mode, teacher=teacher.name, rules=rules)
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


def _finished_text(reply: TeacherReply | UnusableReply) -> str | None:
    """The whole completion of a reply that ended by itself."""
    if isinstance(reply, UnusableReply) or reply.finish_reason is FinishReason.LENGTH:
        return None
    return reply.mode.token + reply.text


def _outcome(
    problem: Problem,
    reply: TeacherReply | UnusableReply,
    verdict: Verdict | None,
    *,
    mode: Mode,
    teacher: str,
    rules: SampleRules,
) -> Generation | DroppedAnswer:
    """The reply as a row, with its control token in front; a truncated one has no verdict."""
    if isinstance(reply, UnusableReply):
        return DroppedAnswer(problem.problem_id, mode, reply.reason, reply.text, teacher)
    correct = verdict is not None and verdict.correct
    if rules.reject_wrong and verdict is not None and not correct:
        return DroppedAnswer(problem.problem_id, mode, REJECTED, reply.text, teacher, verdict.answer)
    return Generation(
        generation_id=f"{mode}-{problem.problem_id}",
        problem_id=problem.problem_id,
        prompt=problem.prompt,
        mode=reply.mode,
        completion=reply.mode.token + reply.text,
        answer=None if verdict is None else verdict.answer,
        num_tokens=reply.num_tokens,
        finish_reason=reply.finish_reason,
        truncated=verdict is None,
        correct=correct,
        teacher=teacher,
    )
