"""Reading a source, whichever kind it is, and checking what it gives.

SourceConfig -> SourceProblems (text, answer, difficulty, origin), in the source's order
             -> rows without a readable answer, listed
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from schemas.broken_escapes import doubtful_break, unusable_character
from schemas.configs.source import SourceConfig, SourceProblem
from schemas.errors import SourceError, ThinklessError
from schemas.kinds import is_plugin
from schemas.records.unreadable_answers import UnreadableAnswer


@dataclass(frozen=True)
class SourceRead:
    """All problems of a source, and the rows that were dropped because their answer cannot be extracted."""

    problems: tuple[SourceProblem, ...]
    unreadable: tuple[UnreadableAnswer, ...] = ()


def read_source(source: SourceConfig, *, name: str, seed: int, limit: int | None = None) -> SourceRead:
    """All problems of a source, or the first ones if a limit of rows is set.

    Raises SourceError if the source cannot be used, and Transient if trying later may help. `name` and `seed` name the
    random stream of a source that draws its problems.
    """
    problems: list[SourceProblem] = []
    unreadable: list[UnreadableAnswer] = []
    for found in source_rows(source, name=name, seed=seed, limit=limit):
        if isinstance(found, UnreadableAnswer):
            unreadable.append(found)
        else:
            problems.append(found)
    return SourceRead(tuple(problems), tuple(unreadable))


def source_rows(
    source: SourceConfig, *, name: str, seed: int, limit: int | None = None
) -> Iterator[SourceProblem | UnreadableAnswer]:
    """The same, one row after the other; raises SourceError at the end if no problem was among them."""
    any_problem, first = False, ""
    for found in islice(_checked(source, name=name, seed=seed), limit):
        if isinstance(found, UnreadableAnswer):
            first = first or f" ({found.where}: {found.reason})"
        else:
            any_problem = True
        yield found
    if not any_problem:
        raise SourceError(f"{source.place()}: no problem has a readable answer{first}; check the source")


def _checked(source: SourceConfig, *, name: str, seed: int) -> Iterator[SourceProblem | UnreadableAnswer]:
    """What the source gives; whatever goes wrong in a source from outside this program becomes a SourceError."""
    if not is_plugin(type(source)):
        yield from source.problems(name=name, seed=seed)
        return
    number = 0
    try:
        for number, found in enumerate(source.problems(name=name, seed=seed), start=1):
            yield found if isinstance(found, UnreadableAnswer) else _complete(found, f"{source.place()} {number}")
    except ThinklessError:
        raise
    except Exception as error:  # a source of the user's own may fail in any way
        raise SourceError(
            f"source {source.kind}: {type(error).__name__} after {number} problems: {error}; mend its `problems`"
        ) from error


def _complete(found: object, where: str) -> SourceProblem:
    """A problem with its origin; raises SourceError if it is none."""
    if not isinstance(found, SourceProblem):
        raise SourceError(f"{where}: got {found!r:.60}, expected SourceProblem(prompt, answer, difficulty)")
    for field, text in (("prompt", found.prompt), ("answer", found.answer)):
        if not isinstance(text, str) or not text.strip():
            raise SourceError(f"{where}: {field} is {text!r:.60}, expected text; a number is written as str(number)")
        damage = unusable_character(text)
        if damage is not None:
            raise SourceError(f"{where}: the {field} holds {damage}; mend it in the source's `problems`")
    if found.difficulty is not None and (isinstance(found.difficulty, bool) or not isinstance(found.difficulty, int)):
        raise SourceError(f"{where}: difficulty is {found.difficulty!r}, expected a whole number or None")
    doubts = ((field, doubtful_break(text)) for field, text in (("prompt", found.prompt), ("answer", found.answer)))
    doubt = next((f"the {field} has {doubt}" for field, doubt in doubts if doubt), "")
    return found._replace(source=found.source or where, doubt=found.doubt or doubt)
