"""The teacher of reasoning_gym's problems: a program for each task writes the steps; short answers are the answer.

problem -> its item -> working (steps, answer) -> steps, re-checked at times -> reply
"""

from __future__ import annotations

from collections.abc import Sequence

from schemas.configs.gym import GymTeacher
from schemas.configs.teacher import TeacherTools
from schemas.errors import TeacherError
from schemas.finish_reason import FinishReason
from schemas.mode import THINK_END, Mode
from schemas.records.problems import Problem
from thinkless_core.gym.items import item_of
from thinkless_core.gym.working import thought
from thinkless_core.gym.workings.table import WORKINGS
from thinkless_core.seeding import random_stream
from thinkless_core.teachers.reply import TeacherReply, UnusableReply, within_limit

NO_WORKING = "no_working"
"""Reason of a drop: the task's program cannot work this problem out."""


class WorkingTeacher:
    """Answers in both modes."""

    name = "gym-workings"

    def __init__(self, config: GymTeacher, tools: TeacherTools) -> None:
        self._config = config
        self._tokenizer = tools.tokenizer

    def answer(
        self, problems: Sequence[Problem], *, mode: Mode, max_tokens: int, seed: int
    ) -> list[TeacherReply | UnusableReply]:
        """See Teacher.answer. Tokens are those of the student's tokenizer."""
        return [self._reply(problem, mode=mode, max_tokens=max_tokens, seed=seed) for problem in problems]

    def close(self) -> None:
        """Holds nothing."""

    def _reply(self, problem: Problem, *, mode: Mode, max_tokens: int, seed: int) -> TeacherReply | UnusableReply:
        item = item_of(problem)
        text = str(item["answer"])
        if mode is Mode.THINK:
            work_out = WORKINGS.get(problem.task or "")
            if work_out is None:
                raise TeacherError(
                    f"problem {problem.problem_id}: no program works out the task {problem.task!r} of reasoning_gym "
                    f"(there are {', '.join(sorted(WORKINGS))}); leave it out of the source, choose another teacher, "
                    "or add a function to thinkless_core/gym/workings"
                )
            working = work_out(item)
            if working is None:
                return UnusableReply(NO_WORKING, "")
            weights = self._config.recheck_weights
            stream = random_stream("rechecks", seed, problem.problem_id)
            rechecks = int(stream.choice(len(weights), p=[w / sum(weights) for w in weights]))
            text = thought(working, rechecks=rechecks) + THINK_END + working.answer
        body = within_limit(text, FinishReason.STOP, max_tokens=max_tokens, tokenizer=self._tokenizer)
        return TeacherReply(*body, mode)
