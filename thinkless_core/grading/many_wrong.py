"""A sentence for the user when so many answers are judged wrong that the judging itself may be at fault.

answers with their references -> share that is wrong -> sentence with three of them, or nothing
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

MOST_WRONG_OF_A_TEACHER = 1 / 3
"""Share of a teacher's finished answers that may be wrong before it is said."""
NUM_EXAMPLES = 3
LONGEST_SHOWN = 80


class JudgedAnswer(NamedTuple):
    """One finished answer."""

    problem_id: str
    answer: str | None
    """The value that was read; None if there was none."""
    correct: bool


def say_many_wrong(
    answers: Iterable[JudgedAnswer], references: Mapping[str, str], *, whose: str, most_wrong: float
) -> str | None:
    """The sentence, if more than the share `most_wrong` is wrong, or all are.

    `references` are by problem id; those of the first NUM_EXAMPLES wrong answers are enough.
    """
    num_answers = num_wrong = 0
    shown: list[JudgedAnswer] = []
    for answer in answers:
        num_answers += 1
        if not answer.correct:
            num_wrong += 1
            shown += [answer] if len(shown) < NUM_EXAMPLES else []
    if not num_wrong or (num_wrong <= most_wrong * num_answers and num_wrong < num_answers):
        return None
    examples = "; ".join(
        f"problem {one.problem_id}: reference {_shown(references[one.problem_id])}, "
        + (f"read {_shown(one.answer)}" if one.answer is not None else "no value found")
        for one in shown
    )
    return (
        f"{num_wrong} of {num_answers} finished answers of {whose} are judged wrong ({examples}); if these are "
        "right, the references are written in a way the verifier does not know: try `thinkless grade` on them"
    )


def _shown(text: str) -> str:
    return repr(text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "...")
