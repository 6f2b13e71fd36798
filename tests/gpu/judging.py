"""Verdicts on a machine that lacks a verifier's package: the reference answer, character by character.

completion -> text behind `</think>` or `<short>` -> what stands in its box or `<answer>`, if it has one -> equal?

Stricter than any verifier: `1,000` is not `1000`, and of several right answers only the reference counts.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from schemas.records.problems import Problem
from thinkless_core.grading.verdict import Outcome, Verdict
from thinkless_core.grading.verifier import Verifier
from thinkless_core.gym.verifier import answer_text

NEEDS = {"gym": "reasoning_gym", "strict": "math_verify"}
"""Verifier -> the package that it cannot do without."""
EXACT = "tests.gpu.judging:ExactText"


class ExactText(Verifier):
    """The reference answer and nothing else."""

    name: str = EXACT

    def judge(self, problem: Problem, completion: str) -> Verdict:
        """See Verifier.judge."""
        answer = answer_text(completion)
        if not answer:
            return Verdict(Outcome.UNREADABLE, None, reason="missing")
        if answer == problem.answer.strip():
            return Verdict(Outcome.CORRECT, answer, score=1.0)
        return Verdict(Outcome.WRONG, answer, reason="different")


def judged_here(problems: Sequence[Problem]) -> tuple[list[Problem], str]:
    """The problems with verifiers that work on this machine, and a sentence about those that had to be replaced."""
    lacking = {
        name: NEEDS[name]
        for name in {problem.verifier for problem in problems}
        if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None
    }
    if not lacking:
        return list(problems), "Answers are judged by the verifiers that the problems name."
    replaced = [p.model_copy(update={"verifier": EXACT}) if p.verifier in lacking else p for p in problems]
    packages = ", ".join(f"{name} needs {package}" for name, package in sorted(lacking.items()))
    return replaced, (
        f"Answers are judged by exact comparison with the reference answer ({packages}, not installed here): "
        "accuracies are at most those of the verifier."
    )
