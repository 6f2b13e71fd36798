"""Thinking aloud along a worked solution: its steps, then every calculation again, then the answer.

"48/2 = <<48/2=24>>24 in May.\\n...\\n#### 72"
    -> "Let me think. 48/2 = 24 in May.\\n...\\nLet me check. 48/2 is 24. ...\\nSo it is 72."
       "</think>The answer is \\boxed{72}."

It replaces a reasoning model: the text holds nothing that the solution does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from schemas.configs.recorded_teachers import WorkedSolutionsTeacher
from schemas.configs.source import Recorded
from schemas.configs.teacher import TeacherTools
from schemas.mode import THINK_END, Mode
from thinkless_core.problems.answer_fields import MARK, plain_steps
from thinkless_core.teachers.recorded_source import RecordedSourceTeacher

_CALCULATION = re.compile(r"<<([^<>\n]*)=([^<>=\n]*)>>")


class ThinkingAloudTeacher(RecordedSourceTeacher):
    """Thinks aloud along worked solutions; its short answers are the solutions themselves."""

    kind = "worked_solutions"

    def __init__(self, config: WorkedSolutionsTeacher, tools: TeacherTools) -> None:
        super().__init__(config, tools)
        self._rechecks = config.rechecks

    def completions(self, mode: Mode) -> Iterator[tuple[str, Recorded]]:
        """See RecordedSourceTeacher.completions."""
        if mode is Mode.SHORT:
            yield from super().completions(mode)
            return
        for question, solution in self._config.recorded_rows(self._source, mode):
            yield question, think_aloud(solution, rechecks=self._rechecks) if isinstance(solution, str) else None


def think_aloud(solution: str, *, rechecks: int) -> str | None:
    """A think completion without its control token; None if the solution has no value after its mark."""
    steps, mark, value = (part.strip() for part in solution.rpartition(MARK))
    if not mark or not value or not steps:
        return None
    calculations = [f"{left.strip()} is {right.strip()}." for left, right in _CALCULATION.findall(steps)]
    checks = [f"{again} {' '.join(calculations)}" for again in _again(rechecks)] if calculations else []
    thought = "\n".join([f"Let me think. {plain_steps(steps)}", *checks, f"So it is {value}."])
    return f"{thought}{THINK_END}The answer is \\boxed{{{value}}}."


def _again(times: int) -> list[str]:
    return ["Let me check.", *["Let me check once more."] * (times - 1)]
