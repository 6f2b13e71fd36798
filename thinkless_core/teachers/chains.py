"""The teacher of procedural problems: works them out, and overthinks as real ones do."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.configs.teach import ProceduralTeacher
from schemas.configs.teacher import TeacherTools
from schemas.errors import TeacherError
from schemas.finish_reason import FinishReason
from schemas.mode import THINK_END, Mode
from schemas.records.problems import Problem
from thinkless_core.problems.procedural import work_out
from thinkless_core.seeding import random_stream
from thinkless_core.teachers.reply import TeacherReply, within_limit


class ChainTeacher:
    """Works procedural chains out; long answers repeat the whole working as a re-check, on easy problems too."""

    name = "procedural-chains"

    def __init__(self, config: ProceduralTeacher, tools: TeacherTools) -> None:
        self._config = config
        self._tokenizer = tools.tokenizer

    def answer(self, problems: Sequence[Problem], *, mode: Mode, max_tokens: int, seed: int) -> list[TeacherReply]:
        """See Teacher.answer. Tokens are those of the student's tokenizer."""
        return [self._reply(problem, mode=mode, max_tokens=max_tokens, seed=seed) for problem in problems]

    def close(self) -> None:
        """Holds nothing."""

    def _reply(self, problem: Problem, *, mode: Mode, max_tokens: int, seed: int) -> TeacherReply:
        working = work_out(problem.question)
        if working is None:
            raise TeacherError(
                f"problem {problem.problem_id}: the procedural teacher works out chains like '37+48*12=?', got "
                f"{problem.prompt[:60]!r}; configure another teacher for this source"
            )
        text = working.answer
        if mode is Mode.THINK:
            weights = self._config.recheck_weights
            stream = random_stream("rechecks", seed, problem.problem_id)
            rechecks = int(stream.choice(len(weights), p=[w / sum(weights) for w in weights]))
            text = ";".join([",".join(working.steps)] * (1 + rechecks)) + THINK_END + working.answer
        body = within_limit(text, FinishReason.STOP, max_tokens=max_tokens, tokenizer=self._tokenizer)
        return TeacherReply(*body, mode)
