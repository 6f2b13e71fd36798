"""One value against one reference, by the strict grader."""

from __future__ import annotations

from thinkless_core.grading.strict import grade_batch


def is_correct(answer: str | None, *, reference: str) -> bool:
    """Whether an extracted value equals the reference value; None never does."""
    return grade_batch([answer], [reference])[0].correct
