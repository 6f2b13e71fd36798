"""Tuples, intervals, unions of intervals, sets, lists and matrices: taken apart, and compared entry by entry.

LaTeX -> Collection (kind, entries) -> right, wrong, or not known
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from thinkless_core.grading.closed_form import NotClosedForm, evaluate, is_gap, settle

_MATRIX = re.compile(r"^\\begin\{pmatrix\}(.*)\\end\{pmatrix\}$", re.DOTALL)
_CUP = re.compile(r"\\cup(?![a-zA-Z])")
_PLUS_MINUS = re.compile(r"\\pm(?![a-zA-Z])")
_INFINITE = {"\\infty": math.inf, "+\\infty": math.inf, "-\\infty": -math.inf}


class Collection(NamedTuple):
    """Several values in one answer."""

    kind: str
    """`list`, `set`, `union`, the two brackets of a tuple or interval, or the row lengths of a matrix."""
    entries: list[str]

    @property
    def unordered(self) -> bool:
        """Whether order and repetition do not count."""
        return self.kind in ("list", "set")


class _Interval(NamedTuple):
    start: float
    end: float
    open_start: bool
    open_end: bool


def collection(text: str) -> Collection | None:
    """What kind of collection a text is; None for a single formula. `a \\pm b` stands for two entries."""
    if matrix := _MATRIX.match(text):
        rows = [row.split("&") for row in re.sub(r"\\\\\s*$", "", matrix[1]).split("\\\\")]
        return Collection(f"matrix {[len(row) for row in rows]}", [entry for row in rows for entry in row])
    pieces = [piece.strip() for piece in _CUP.split(text)]
    if len(pieces) > 1:
        return Collection("union", pieces)
    kind = "list"
    if text.startswith("\\{") and text.endswith("\\}"):
        kind, text = "set", text[2:-2]
    elif text[:1] in ("(", "[") and text[-1:] in (")", "]") and _closes_at(text) == len(text) - 1:
        kind, text = text[0] + text[-1], text[1:-1]
    entries = _split_at_commas(text)
    if kind in ("list", "set"):
        entries = [_PLUS_MINUS.sub(sign, e) for e in entries for sign in ("+-" if _PLUS_MINUS.search(e) else "+")]
    return Collection(kind, entries) if len(entries) > 1 or kind == "set" else None


def compare_unordered(ours: list[str], theirs: list[str]) -> bool | None:
    """True: each entry has its exact equal on the other side. False: one has none there that comes near."""
    table = [[settle(a, b) for b in theirs] for a in ours]
    lines = [*table, *zip(*table, strict=True)]
    if any(all(verdict is False for verdict in line) for line in lines):
        return False
    return True if all(True in line for line in lines) else None


def compare_unions(ours: list[str], theirs: list[str]) -> bool | None:
    """False if a piece differs once overlaps are merged; else not known."""
    first, second = _merged(ours), _merged(theirs)
    if first is None or second is None:
        return None
    if len(first) != len(second):
        return False
    for a, b in zip(first, second, strict=True):
        if a[2:] != b[2:] or any(x != y and is_gap(x, y) for x, y in zip(a[:2], b[:2], strict=True)):
            return False
    return None


def _merged(pieces: list[str]) -> list[_Interval] | None:
    """The intervals that remain when overlaps are merged, left to right; None if a piece is no interval."""
    intervals = []
    for piece in pieces:
        ends = [_endpoint(entry) for entry in _split_at_commas(piece[1:-1])]
        bracketed = piece[:1] in ("(", "[") and piece[-1:] in (")", "]")
        if not bracketed or len(ends) != 2 or ends[0] is None or ends[1] is None or ends[0] >= ends[1]:
            return None
        intervals.append(_Interval(ends[0], ends[1], piece[0] == "(", piece[-1] == ")"))
    merged: list[_Interval] = []
    for right in sorted(intervals, key=lambda interval: (interval.start, interval.open_start)):
        left = merged[-1] if merged else None
        if left is None or left.end < right.start or (left.end == right.start and left.open_end and right.open_start):
            merged.append(right)
            continue
        end, closed_end = max((left.end, not left.open_end), (right.end, not right.open_end))
        merged[-1] = _Interval(left.start, end, left.open_start, not closed_end)
    return merged


def _endpoint(text: str) -> float | None:
    if text.replace(" ", "") in _INFINITE:
        return _INFINITE[text.replace(" ", "")]
    try:
        value = complex(evaluate(text))
    except (NotClosedForm, OverflowError):
        return None
    return value.real if value.imag == 0 else None


def _closes_at(text: str) -> int:
    """Where the bracket that opens the text is closed."""
    depth = 0
    for position, character in enumerate(text):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
        if depth == 0:
            return position
    return -1


def _split_at_commas(text: str) -> list[str]:
    entries, depth = [""], 0
    for character in text:
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(character, 0)
        if character == "," and depth == 0:
            entries.append("")
        else:
            entries[-1] += character
    return [entry.strip() for entry in entries]
