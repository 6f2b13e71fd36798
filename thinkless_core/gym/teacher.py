"""The teacher of reasoning_gym's problems: a program for each task writes the steps; short answers are the answer.

problem -> its item -> working (steps, answer) -> steps, re-checked at times -> reply
"""

from __future__ import annotations

from schemas.configs.gym import GymTeacher
from schemas.errors import TeacherError
from schemas.finish_reason import FinishReason
from schemas.mode import THINK_END, Mode
from schemas.records.problems import Problem
from thinkless_core.gym.items import item_of
from thinkless_core.gym.working import thought
from thinkless_core.gym.workings.table import WORKINGS
from thinkless_core.teachers.one_by_one import OneByOneTeacher
from thinkless_core.teachers.rechecks import num_rechecks
from thinkless_core.teachers.reply import TeacherReply, UnusableReply, within_limit

NO_WORKING = "no_working"
"""Reason of a drop: the task's program cannot work this problem out."""


class WorkingTeacher(OneByOneTeacher[GymTeacher]):
    """Answers in both modes."""

    name = "gym-workings"

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
            rechecks = num_rechecks(self._config.recheck_weights, seed=seed, problem_id=problem.problem_id)
            text = thought(working, rechecks=rechecks) + THINK_END + working.answer
        body = within_limit(text, FinishReason.STOP, max_tokens=max_tokens, tokenizer=self._tokenizer)
        return TeacherReply(*body, mode)
