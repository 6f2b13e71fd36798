"""Sets of real numbers, however they are written: intervals, unions of them, `\\{x | x > 0\\}`, `x > 0`.

LaTeX -> intervals, merged, left to right -> the same set, another one, or not known
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from thinkless_core.grading.closed_form import real_value, settle
from thinkless_core.grading.exact_numbers import NotClosedForm, inexact, is_gap
from thinkless_core.grading.gathered import both_signs, closes_at, split_entries

_PIECES = re.compile(r"\\cup(?![a-zA-Z])|\\lor(?![a-zA-Z])")
_BUILDER = re.compile(
    r"^\\\{\s*([a-zA-Z])\s*(?:\\in\s*\\mathbb\s*\{?R\}?\s*)?(?:\||\\mid(?![a-zA-Z])|:)(.*)\\\}$", re.DOTALL
)
_RELATION = re.compile(r"(<|>|\\leq(?![a-zA-Z])|\\geq(?![a-zA-Z])|\\neq(?![a-zA-Z])|=)")
_WITHOUT = re.compile(r"^(.*)\\(?:setminus|backslash)(?![a-zA-Z])\s*(\\\{.*\\\})$", re.DOTALL)
_MEMBER = re.compile(r"^([a-zA-Z])\s*\\in(?![a-zA-Z])(.*)$", re.DOTALL)
_ALL_NUMBERS = re.compile(r"^(?:\\mathbb\s*\{?R\}?|(?:\\text\s*\{\s*)?(?:all )?real numbers\s*\}?)$", re.IGNORECASE)
_INFINITY = {"\\infty": 1, "+\\infty": 1, "-\\infty": -1}


class End(NamedTuple):
    """One end of an interval."""

    latex: str
    value: Any
    """A real number of mpmath, or an infinite float."""
    closed: bool


class Interval(NamedTuple):
    """From one end to the other; a point has both ends closed and equal."""

    start: End
    end: End


def says_set(text: str) -> bool:
    """Whether a text can only mean a set of numbers: an inequality, a union, all numbers, a set with a condition."""
    inequality = any(sign in text for sign in ("<", ">", "\\leq", "\\geq", "\\neq"))
    return inequality or any(p.search(text) for p in (_PIECES, _BUILDER, _MEMBER, _ALL_NUMBERS, _WITHOUT))


def compare_sets(first: str, second: str) -> bool | None:
    """Whether two texts mean one set of real numbers; None if one of them cannot be read as one."""
    ours, theirs = read_intervals(first), read_intervals(second)
    if ours is None or theirs is None:
        return None
    if len(ours) != len(theirs):
        return False
    verdicts = [
        _same_end(a, b) for left, right in zip(ours, theirs, strict=True) for a, b in zip(left, right, strict=True)
    ]
    if False in verdicts:
        return False
    return True if None not in verdicts else None


def read_intervals(text: str) -> list[Interval] | None:
    """The intervals of a set, merged where they overlap or touch, left to right; None if the text is no such set."""
    variable = None
    if builder := _BUILDER.match(text):
        variable, text = builder[1], builder[2]
    relations = [signed for entry in split_entries(text) for signed in both_signs(entry)]
    if len(relations) > 1 and all(_RELATION.search(relation) for relation in relations):
        return _joined([_intervals_of_relation(relation, variable) for relation in relations])
    intervals: list[Interval] = []
    for piece in _PIECES.split(text):
        found = _intervals_of(piece.strip(), variable)
        if found is None:
            return None
        intervals += found
    return _merged(intervals)


def _joined(found: Sequence[list[Interval] | None]) -> list[Interval] | None:
    """Relations side by side: what fulfils all, `x > 1, x < 3`; or any, where nothing can fulfil all, `x < 1, x > 3`.

    None where both readings make sense.
    """
    sets = [one for one in found if one is not None]
    if len(sets) < len(found):
        return None
    all_of, any_of = functools.reduce(_intersection, sets), _merged([interval for one in sets for interval in one])
    if not all_of:
        return any_of
    return all_of if len(any_of) == 1 and any_of[0] == EVERYTHING else None


def _intervals_of(piece: str, variable: str | None) -> list[Interval] | None:
    """The intervals of one piece of a union."""
    if builder := _BUILDER.match(piece):
        return _intervals_of(builder[2].strip(), builder[1])
    if (member := _MEMBER.match(piece)) and variable in (None, member[1]):
        return read_intervals(member[2].strip())
    if without := _WITHOUT.match(piece):
        kept = read_intervals(without[1].strip())
        for point in split_entries(without[2][2:-2]):
            others = _intervals_of_relation(f"x \\neq {point}", None)
            kept = None if kept is None or others is None else _intersection(kept, others)
        return kept
    if _ALL_NUMBERS.match(piece):
        return [EVERYTHING]
    if piece[:1] in ("(", "[") and piece[-1:] in (")", "]") and closes_at(piece) == len(piece) - 1:
        ends = split_entries(piece[1:-1])
        if len(ends) != 2:
            return None
        interval = _interval(ends[0], ends[1], closed=(piece[0] == "[", piece[-1] == "]"))
        return interval and [interval]
    if piece.startswith("\\{") and piece.endswith("\\}"):
        points = [_interval(point, point, closed=(True, True)) for point in split_entries(piece[2:-2])]
        return None if None in points else [point for point in points if point is not None]
    return _intervals_of_relation(piece, variable)


def _intervals_of_relation(text: str, variable: str | None) -> list[Interval] | None:
    """`x > 2`, `1 \\leq x < 3`, `x \\neq 0`, `x = 5`."""
    parts = [part.strip() for part in _RELATION.split(text)]
    sides, signs = parts[::2], parts[1::2]
    letters = [place for place, side in enumerate(sides) if re.fullmatch("[a-zA-Z]", side) and side not in ("e", "i")]
    if len(letters) != 1 or (variable is not None and sides[letters[0]] != variable):
        return None
    place = letters[0]
    if len(signs) == 1:
        bound = sides[1 - place]
        sign = (
            signs[0] if place == 0 else {"<": ">", ">": "<", "\\leq": "\\geq", "\\geq": "\\leq"}.get(signs[0], signs[0])
        )
        closed = sign in ("\\leq", "\\geq", "=")
        ends = {"=": [(bound, bound)], "\\neq": [("-\\infty", bound), (bound, "\\infty")]}.get(sign)
        ends = ends or [("-\\infty", bound) if sign in ("<", "\\leq") else (bound, "\\infty")]
    elif len(signs) == 2 and place == 1 and "\\neq" not in signs and "=" not in signs:
        upward = [sign in ("<", "\\leq") for sign in signs]
        if upward[0] != upward[1]:
            return None
        start, end = (sides[0], sides[2]) if upward[0] else (sides[2], sides[0])
        signs = signs if upward[0] else signs[::-1]
        interval = _interval(start, end, closed=("eq" in signs[0], "eq" in signs[1]))
        return interval and [interval]
    else:
        return None
    found = [_interval(start, end, closed=(closed, closed)) for start, end in ends]
    return None if None in found else [interval for interval in found if interval is not None]


def _interval(start: str, end: str, *, closed: tuple[bool, bool]) -> Interval | None:
    first, last = _end(start, closed=closed[0]), _end(end, closed=closed[1])
    if first is None or last is None or not _holds_numbers(first, last):
        return None
    return Interval(first, last)


def _end(text: str, *, closed: bool) -> End | None:
    sign = _INFINITY.get(text.replace(" ", ""))
    if sign is not None:
        return _infinite(sign)
    try:
        return End(text, inexact(real_value(text)), closed)
    except NotClosedForm:
        return None


def _infinite(sign: int) -> End:
    return End("\\infty" if sign > 0 else "-\\infty", sign * float("inf"), closed=False)


EVERYTHING = Interval(_infinite(-1), _infinite(1))


def _intersection(first: Sequence[Interval], second: Sequence[Interval]) -> list[Interval]:
    pairs = [
        Interval(
            max(a.start, b.start, key=lambda end: (end.value, not end.closed)),
            min(a.end, b.end, key=lambda end: (end.value, end.closed)),
        )
        for a in first
        for b in second
    ]
    return [pair for pair in pairs if _holds_numbers(pair.start, pair.end)]


def _holds_numbers(start: End, end: End) -> bool:
    return bool(start.value < end.value or (start.value == end.value and start.closed and end.closed))


def _same_end(first: End, second: End) -> bool | None:
    infinite = [end.latex.endswith("\\infty") for end in (first, second)]
    if any(infinite):
        return infinite[0] and infinite[1] and first.latex == second.latex
    if first.closed != second.closed:
        return False
    if "." not in first.latex + second.latex:
        return settle(first.latex, second.latex)
    return False if is_gap(first.value, second.value) else settle(first.latex, second.latex)


def _merged(intervals: Sequence[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for right in sorted(intervals, key=lambda interval: (interval.start.value, not interval.start.closed)):
        left = merged[-1] if merged else None
        touches = left is not None and (
            left.end.value > right.start.value
            or (left.end.value == right.start.value and (left.end.closed or right.start.closed))
        )
        if left is None or not touches:
            merged.append(right)
        else:
            merged[-1] = Interval(left.start, max(left.end, right.end, key=lambda end: (end.value, end.closed)))
    return merged
