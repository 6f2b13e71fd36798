"""What a worked solution of a gym task is, and how it becomes the text of a thought.

entry of reasoning_gym -> function of thinkless_core/gym/workings -> Working -> thought
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, NamedTuple

FIRST_CHECK = "Let me check."
FURTHER_CHECK = "Once more:"


class Working(NamedTuple):
    """The steps to an answer."""

    steps: tuple[str, ...]
    """One line each."""
    answer: str
    check: tuple[str, ...] = ()
    """Lines of a second way to the answer; if empty, a re-check goes through the steps again."""


WorkOut = Callable[[Mapping[str, Any]], Working | None]
"""Entry {question, answer, metadata} -> its working, or None for an entry it cannot work out."""


def thought(working: Working, *, rechecks: int) -> str:
    """The steps, a line each, and after them as many re-checks as asked for, each under a line that announces it."""
    lines = list(working.steps)
    for number in range(rechecks):
        lines.append(FURTHER_CHECK if number else FIRST_CHECK)
        lines.extend(working.check or working.steps)
    return "\n".join(lines)


def reads(*fields: str) -> Callable[[Callable[..., Working | None]], WorkOut]:
    """Turn a function of some fields of an entry into one of the entry.

    A field is looked up in the metadata; `question` and `answer` are those of the entry. The result is None if a field
    is missing, and if the steps lead to another answer than the entry's.
    """

    def of_entry(function: Callable[..., Working | None]) -> WorkOut:
        @wraps(function)
        def work_out(entry: Mapping[str, Any]) -> Working | None:
            known = {**entry.get("metadata", {}), **{key: entry.get(key) for key in ("question", "answer")}}
            if any(known.get(field) is None for field in fields):
                return None
            working = function(*(known[field] for field in fields))
            return working if working is not None and working.answer == entry.get("answer") else None

        return work_out

    return of_entry
