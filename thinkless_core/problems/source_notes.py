"""What the user should know of a source that was read, a line for each kind."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.configs.source import SourceProblem
from schemas.records.conflicting_answers import ConflictingAnswer
from schemas.records.unreadable_answers import UnreadableAnswer
from thinkless_core.problems.conflicts import conflict_text
from thinkless_core.problems.first_ones import FirstOnes


def source_notes(
    name: str,
    num_problems: int,
    unreadable: FirstOnes[UnreadableAnswer],
    conflicts: FirstOnes[ConflictingAnswer],
    doubtful: FirstOnes[SourceProblem],
) -> Iterator[str]:
    """What was dropped of a source, and what looks damaged in it; a line for each kind."""
    if unreadable.count:
        first = unreadable.listed[0]
        yield (
            f"{name}: {unreadable.count} of {unreadable.count + num_problems} rows cannot be used and "
            f"are dropped, listed in table unreadable_answers; the first is {first.where}: {first.reason}"
        )
    yield from conflict_note(name, conflicts, num_rows=num_problems, earlier="an earlier row")
    if doubtful.count:
        looks = doubtful.listed[0]
        yield (
            f"{name}: {doubtful.count} of {num_problems} problems look damaged; the first is "
            f"{looks.source}: {looks.doubt}; write the backslash twice in JSON"
        )


def conflict_note(name: str, conflicts: FirstOnes[ConflictingAnswer], *, num_rows: int, earlier: str) -> Iterator[str]:
    """Rows that contradict one that is kept, if there are any."""
    if conflicts.count:
        yield (
            f"{name}: {conflicts.count} of {num_rows} rows contradict {earlier} of the same question and are dropped, "
            f"listed in table conflicting_answers; the first is {conflict_text(conflicts.listed[0])}"
        )
