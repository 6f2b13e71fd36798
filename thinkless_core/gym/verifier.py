"""The verifier of reasoning_gym's problems: the package's own program scores the answer.

completion -> text behind `</think>` or `<short>` -> what stands in its box or `<answer>`, if it has one -> score

Only a full score is correct; a part of it is kept as the verdict's score.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from schemas.configs.gym import EXTRA, PACKAGE
from schemas.mode import THINK_END, Mode
from schemas.records.problems import Problem
from thinkless_core.grading.boxes import boxed_value
from thinkless_core.grading.verdict import Outcome, Verdict
from thinkless_core.grading.verifier import Verifier
from thinkless_core.gym.items import score

_ANSWER_TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


class GymVerifier(Verifier):
    """Judges by `score_answer` of the problem's task."""

    packages: ClassVar[tuple[str, ...]] = (PACKAGE,)
    extra: ClassVar[str] = EXTRA
    name: Literal["gym"] = "gym"

    def judge(self, problem: Problem, completion: str) -> Verdict:
        """See Verifier.judge."""
        answer = answer_text(completion)
        if not answer:
            return Verdict(Outcome.UNREADABLE, None, reason="missing")
        points = score(problem, answer)
        if points >= 1.0:
            return Verdict(Outcome.CORRECT, answer, score=1.0)
        return Verdict(Outcome.WRONG, answer, reason="different", score=points)


def answer_text(completion: str) -> str | None:
    """The answer as the completion writes it; None if it never stopped thinking.

    Unlike a number, an answer in words or in a grid is all that is written, and nothing is fished out of it.
    """
    text = completion
    if text.startswith(Mode.THINK.token) and THINK_END not in text:
        return None
    text = text.rpartition(THINK_END)[2].removeprefix(Mode.SHORT.token)
    if tagged := _ANSWER_TAG.findall(text):
        text = str(tagged[-1])
    return (boxed_value(text) or text).strip()
