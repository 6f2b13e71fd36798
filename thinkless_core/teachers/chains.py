"""The teacher of procedural problems: works them out, and overthinks as real ones do."""

from __future__ import annotations

from schemas.configs.teach import ProceduralTeacher
from schemas.errors import TeacherError
from schemas.finish_reason import FinishReason
from schemas.mode import THINK_END, Mode
from schemas.records.problems import Problem
from thinkless_core.problems.procedural import work_out
from thinkless_core.teachers.one_by_one import OneByOneTeacher
from thinkless_core.teachers.rechecks import num_rechecks
from thinkless_core.teachers.reply import TeacherReply, within_limit


class ChainTeacher(OneByOneTeacher[ProceduralTeacher]):
    """Works procedural chains out; long answers repeat the whole working as a re-check, on easy problems too."""

    name = "procedural-chains"

    def _reply(self, problem: Problem, *, mode: Mode, max_tokens: int, seed: int) -> TeacherReply:
        working = work_out(problem.question)
        if working is None:
            raise TeacherError(
                f"problem {problem.problem_id}: the procedural teacher works out chains like '37+48*12=?', got "
                f"{problem.prompt[:60]!r}; configure another teacher for this source"
            )
        text = working.answer
        if mode is Mode.THINK:
            rechecks = num_rechecks(self._config.recheck_weights, seed=seed, problem_id=problem.problem_id)
            text = ";".join([",".join(working.steps)] * (1 + rechecks)) + THINK_END + working.answer
        body = within_limit(text, FinishReason.STOP, max_tokens=max_tokens, tokenizer=self._tokenizer)
        return TeacherReply(*body, mode)
