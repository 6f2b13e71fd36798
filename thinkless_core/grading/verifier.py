"""What judges completions, and judging a batch of them by the verifiers that their problems name.

(problems, completions) -> grouped by verifier, each built once -> Verdicts, in order
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from schemas.configs.verifier import VerifierConfig, choose_verifier
from schemas.errors import EvaluationError, ThinklessError
from schemas.records.problems import Problem
from thinkless_core.grading.verdict import Verdict


class Verifier(VerifierConfig):
    """A verifier. To add your own, write a class with one method in a file, and name the file in the profile:

        # my_verifier.py; used by: problems.source = { ..., verifier = "my_verifier.py:Rounded" }
        from thinkless_core.grading.extraction import extract_answer
        from thinkless_core.grading.verdict import Outcome, Verdict
        from thinkless_core.grading.verifier import Verifier

        class Rounded(Verifier):
            '''Numbers that agree to two decimals.'''

            def judge(self, problem, completion):
                answer = extract_answer(completion)
                try:
                    right = round(float(answer), 2) == round(float(problem.answer), 2)
                except (TypeError, ValueError):
                    return Verdict(Outcome.UNREADABLE, answer, reason="no number")
                return Verdict(Outcome.CORRECT if right else Outcome.WRONG, answer, score=float(right))

    A correct verdict names the answer that was read. The completion begins with its control token. Callers judge only
    completions that ended by themselves, and call the others wrong. A verifier that judges many at once faster than
    one by one replaces `judge_batch`.
    """

    def judge(self, problem: Problem, completion: str) -> Verdict:
        """Whether the completion solves the problem."""
        raise EvaluationError(f"verifier {self.name} has no method `judge`; write one that returns a Verdict")

    def judge_batch(self, problems: Sequence[Problem], completions: Sequence[str]) -> list[Verdict]:
        """A verdict per completion, in order."""
        verdicts = []
        for problem, completion in zip(problems, completions, strict=True):
            try:
                verdicts.append(self.judge(problem, completion))
            except ThinklessError:
                raise
            except Exception as error:  # a verifier of the user's own may fail in any way
                raise EvaluationError(
                    f"verifier {self.name}: {type(error).__name__} on an answer to problem {problem.problem_id}: "
                    f"{error}; mend its `judge`: a completion that it cannot read is Outcome.UNREADABLE"
                ) from error
        return verdicts


def judge_completions(problems: Sequence[Problem], completions: Sequence[str | None]) -> list[Verdict | None]:
    """A verdict per completion, in order, each by the verifier that its problem names.

    None stands for a completion that no verifier is asked about (malformed, or cut off), and is its verdict, too.
    Raises EvaluationError if a verifier cannot be found, or returns something else than a Verdict.
    """
    places: dict[str, list[int]] = {}
    for place, (problem, completion) in enumerate(zip(problems, completions, strict=True)):
        if completion is not None:
            places.setdefault(problem.verifier, []).append(place)
    verdicts: list[Verdict | None] = [None] * len(completions)
    for name, chosen_places in places.items():
        texts = [completion for place in chosen_places if (completion := completions[place]) is not None]
        judged = find_verifier(name).judge_batch([problems[place] for place in chosen_places], texts)
        for place, verdict in zip(chosen_places, judged, strict=True):
            if not isinstance(verdict, Verdict) or (verdict.correct and not verdict.answer):
                raise EvaluationError(
                    f"verifier {name}: got {verdict!r:.60} for problem {problems[place].problem_id}, expected a "
                    "Verdict; a correct one names the answer that was read"
                )
            verdicts[place] = verdict
    return verdicts


def find_verifier(name: str) -> Verifier:
    """The verifier of a name, FILE.py:Class or import path; raises EvaluationError if there is none."""
    try:
        config: VerifierConfig = choose_verifier(name)
    except ValueError as error:
        raise EvaluationError(f"problems name the verifier {name!r}, which cannot be used: {error}") from error
    return _built(config)


@functools.cache
def _built(config: VerifierConfig) -> Verifier:
    verifier: Verifier = config.build()
    return verifier
