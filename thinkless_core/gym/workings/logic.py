"""Syllogisms by the rules of quality and distribution, knights and knaves by trying."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from thinkless_core.gym.working import Working, reads

_STATEMENT = re.compile(r"(All|No|Some) (\w+) are (not )?(\w+)")


class Categorical(NamedTuple):
    """All, no or some of a subject are (or are not) something."""

    negative: bool
    covered: tuple[str, ...]
    """Terms of which it says something about every member: the subject of `all` and `no`, what is denied."""
    terms: tuple[str, str]


def read_statement(text: str) -> Categorical | None:
    """Read one statement; None if it is no such statement."""
    found = _STATEMENT.fullmatch(text)
    if found is None:
        return None
    quantity, subject, denial, predicate = found.groups()
    negative = quantity == "No" or bool(denial)
    covered = (*((subject,) if quantity != "Some" else ()), *((predicate,) if negative else ()))
    return Categorical(negative, covered, (subject, predicate))


@reads("premise1", "premise2", "conclusion")
def syllogism(premise1: str, premise2: str, conclusion: str) -> Working | None:
    """Sign and covered terms of each statement, then the first rule that is broken, or that none is.

    Nobody is left out: every term has a member. None for the package's answers that forget the rule that the
    middle term has to be covered once.
    """
    read = [read_statement(text) for text in (premise1, premise2, conclusion)]
    first, second, last = read
    if first is None or second is None or last is None:
        return None
    used = [("1", first), ("2", second)]
    whole = [(number, premise) for number, premise in used if set(premise.terms) == set(last.terms)]
    used = whole or used
    lines = [f"{number}: {_described(premise)}" for number, premise in used]
    lines.append(f"asked: {_described(last)}")
    verdict, answer = _verdict([premise for _, premise in used], last)
    return Working((*lines, f"{verdict}: {answer}"), answer)


def _described(statement: Categorical) -> str:
    covers = " and ".join(f"all {term}" for term in statement.covered) or "only some"
    return f"{'negative' if statement.negative else 'positive'}, {covers}"


def _verdict(premises: Sequence[Categorical], last: Categorical) -> tuple[str, str]:
    """The reason and Yes or No."""
    negatives = sum(premise.negative for premise in premises)
    covered = {term for premise in premises for term in premise.covered}
    middle = {term for premise in premises for term in premise.terms} - set(last.terms)
    if negatives > 1:
        return "two negatives", "No"
    if bool(negatives) != last.negative:
        return "signs differ", "No"
    for term in sorted(middle - covered):
        return f"nothing about all {term}", "No"
    for term in last.covered:
        if term not in covered:
            return f"only asked about all {term}", "No"
    return "all rules kept", "Yes"


@reads("statements", "names", "knight_knave_terms")
def knights_knaves(statements: Sequence[Any], names: Sequence[str], knight_knave_terms: Mapping[str, str]) -> Working:
    """Every assignment in turn: who would be what, and whether each one's statement would be true; the first in which
    knights say what is true and knaves what is false is the answer."""
    lines = []
    for roles in product((True, False), repeat=len(names)):
        said = [_holds(statement, roles) for statement in statements]
        words = [str(knight_knave_terms["knight" if role else "knave"]) for role in roles]
        tried = ", ".join(f"{name} {word}" for name, word in zip(names, words, strict=True))
        lines.append(f"{tried}: says {', '.join('true' if true else 'false' for true in said)}")
        if said == list(roles):
            break
        lines[-1] += ", no"
    lines[-1] += ", yes"
    parts = [
        f"{name} is {knight_knave_terms['a_knight' if r else 'a_knave']}" for name, r in zip(names, roles, strict=True)
    ]
    return Working(tuple(lines), f"{', '.join(parts[:-1])}, and {parts[-1]}.")


def _holds(statement: Sequence[Any], roles: Sequence[bool]) -> bool:
    """Whether a statement is true if the roles are so."""
    match statement[0]:
        case "telling-truth":
            return bool(roles[statement[1]])
        case "lying":
            return not roles[statement[1]]
        case "not":
            return not _holds(statement[1], roles)
        case "and":
            return all(_holds(part, roles) for part in statement[1:])
        case "or":
            return any(_holds(part, roles) for part in statement[1:])
        case "->":
            return not _holds(statement[1], roles) or _holds(statement[2], roles)
        case _:
            return _holds(statement[1], roles) == _holds(statement[2], roles)
