"""Rows of one question whose answers contradict each other.

(first row of a question, later row) -> the same answer, however it is written: a duplicate
                                     -> another answer: a conflict, listed; an error if there are too many
"""

from __future__ import annotations

from collections.abc import Sequence

from schemas.configs.source import SourceProblem
from schemas.errors import SourceError
from schemas.records.conflicting_answers import ConflictingAnswer
from thinkless_core.grading.strict import grade_batch
from thinkless_core.problems.first_ones import FirstOnes

Repeated = tuple[SourceProblem, SourceProblem]
"""(the row of a question that is kept, another row of it)."""


def find_conflicts(repeated: Sequence[Repeated]) -> list[ConflictingAnswer | None]:
    """For each pair, the conflict if its answers are not the same value; `1/2` and `0.5` are."""
    differing = [(kept, row) for kept, row in repeated if kept.answer != row.answer]
    grades = grade_batch([row.answer for _, row in differing], [kept.answer for kept, _ in differing])
    verdicts = iter(grades)
    return [
        None
        if kept.answer == row.answer or next(verdicts).correct
        else ConflictingAnswer(
            prompt=row.prompt, where=row.source, answer=row.answer, kept_where=kept.source, kept_answer=kept.answer
        )
        for kept, row in repeated
    ]


def refuse_conflicts(conflicts: FirstOnes[ConflictingAnswer], *, num_rows: int, most: float) -> None:
    """Raises SourceError if more than the share `most` of the rows contradict an earlier one."""
    if conflicts.count <= most * num_rows:
        return
    listed = "; ".join(map(conflict_text, conflicts.listed))
    raise SourceError(
        f"{conflicts.count} of {num_rows} rows have the question of an earlier row and another answer, over "
        f"problems.max_conflict_share={most:g}: {listed}{conflicts.more}. Set prompt_field to the whole question (a "
        "part of it, such as its last sentence, repeats itself), mend or drop the rows, or raise "
        "problems.max_conflict_share"
    )


def conflict_text(conflict: ConflictingAnswer) -> str:
    """One conflict, for messages."""
    return (
        f"{conflict.where}: {conflict.prompt!r:.60} has the answer {conflict.answer!r:.40}, and "
        f"{conflict.kept_answer!r:.40} at {conflict.kept_where}"
    )
