"""Whether references can be met: each one against itself in other spellings, and with a digit changed.

references -> spelled in six ways -> strict verifier -> how many were judged as they ought to be, and which were not
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from thinkless_core.grading.canonical import read_value
from thinkless_core.grading.gathered import collection
from thinkless_core.grading.strict import grade_batch

LEAST_ACCEPTED = 0.99
"""Share of respelled references that have to be accepted; of their own values and of changed digits, all have to do."""

_THOUSANDS = r"(?!\d{3}(?!\d))"
_COMMA = re.compile(rf"(?<!\d),(?=\S)|(?<=\d),{_THOUSANDS}(?=[^\s}}])")
_SPACED_COMMA = re.compile(rf",\s+{_THOUSANDS}")
_SIGN = re.compile(r"(?<=[\d)}\]])\s*([+=-])\s*(?=[\d\\({])")
_QUOTED = re.compile(r"\\(?:text|mbox|textbf|mathrm)\s*\{[^{}]*\}")


class SpellingCheck(NamedTuple):
    """What came of one way to spell the references."""

    name: str
    expected: bool
    """Whether the spelling means the reference."""
    num_asked: int
    """References that can be spelled so."""
    exceptions: list[tuple[str, str]]
    """(spelling, reference) of those judged otherwise."""

    @property
    def passed(self) -> bool:
        """Whether few enough are judged otherwise."""
        strict = self.name in (OWN, *CHANGED)
        return len(self.exceptions) <= (0 if strict else (1 - LEAST_ACCEPTED) * self.num_asked)


def check_references(references: Sequence[str]) -> list[SpellingCheck]:
    """One result per spelling, over the distinct references. Raises EvaluationError if math-verify cannot be loaded."""
    distinct = list(dict.fromkeys(references))
    checks = []
    for name, spell in SPELLINGS.items():
        pairs = [(written, reference) for reference in distinct if (written := spell(reference)) is not None]
        grades = grade_batch([written for written, _ in pairs], [reference for _, reference in pairs])
        expected = name not in CHANGED
        exceptions = [pair for pair, grade in zip(pairs, grades, strict=True) if grade.correct is not expected]
        checks.append(SpellingCheck(name, expected, len(pairs), exceptions))
    return checks


def with_other_spaces(reference: str) -> str | None:
    """`1, 3` as `1,3`, `1,3` as `1, 3`, `2+x` as `2 + x`; None if there is no place for another space."""
    if _QUOTED.search(reference) or read_value(reference).is_text:
        return None
    plain = _SPACED_COMMA.sub(",", reference)
    commas = plain if plain != reference else _COMMA.sub(", ", reference)
    respelt = _SIGN.sub(r" \1 ", commas)
    return respelt if respelt != reference else None


def as_mathematics(reference: str) -> str | None:
    """`\\frac{1}{2}` as ` $\\dfrac{1}{2}$. `; None for money and words, which are no mathematics."""
    if "$" in reference.strip().strip("$") or read_value(reference).is_text:
        return None
    return f" ${re.sub('(?<![a-z])frac', 'dfrac', reference.strip().strip('$'))}$. "


def reversed_list(reference: str) -> str | None:
    """`1, 2, 3` as `3, 2, 1`; None for what is no bare list or set."""
    value = read_value(reference)
    many = collection(value.latex)
    if value.is_text or value.unit or value.percent or many is None or not many.unordered or many.names:
        return None
    text = ", ".join(reversed(many.entries))
    return f"\\{{{text}\\}}" if many.kind == "set" else text


def with_last_digit_changed(reference: str) -> str | None:
    """`12` as `13`, `\\frac{1}{9}` as `\\frac{1}{0}`; None without a digit."""
    return re.sub(r"\d(?=\D*$)", _next_digit, reference) if re.search(r"\d", reference) else None


def with_first_digit_changed(reference: str) -> str | None:
    """`12` as `22`; None without a digit."""
    return re.sub(r"\d", _next_digit, reference, count=1) if re.search(r"\d", reference) else None


def _next_digit(digit: re.Match[str]) -> str:
    return str((int(digit[0]) + 1) % 10)


OWN = "own value"
CHANGED = ("last digit changed", "first digit changed")
SPELLINGS: Mapping[str, Callable[[str], str | None]] = {
    OWN: lambda reference: reference,
    "other spaces": with_other_spaces,
    "as mathematics": as_mathematics,
    "reversed list": reversed_list,
    CHANGED[0]: with_last_digit_changed,
    CHANGED[1]: with_first_digit_changed,
}
