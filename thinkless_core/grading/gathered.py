"""Several values in one answer: lists, sets, tuples and matrices, taken apart and compared entry by entry.

LaTeX -> Collection (kind, entries) -> right, wrong, or not known

A bare list is a set of values: `1, 3`, `3, 1`, `1 and 3` and `x=1 or x=3` are one. In brackets order counts.
`1,234` is one number, unless it is compared with a list; `1,23` is two.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

_MATRIX = re.compile(r"^\\begin\{pmatrix\}(.*)\\end\{pmatrix\}$", re.DOTALL)
_SIGNS = re.compile(r"\\(pm|mp)(?![a-zA-Z])")
_THOUSANDS = re.compile(r"(?<![\d,.])(?!0)\d{1,3}(?:,\d{3})+(?!\d|,\d)", re.ASCII)
_SPACED = re.compile(r"[,;]\s")
_NAMED = re.compile(r"^([a-zA-Z]{1,2}|\\[a-z]+)((?:_\w|_\{\w+\})?(?:\([a-z]\))?)\s*=\s*([^=<>]*)$")

Comparison = Callable[[str, str], bool | None]
"""Whether two entries are the same value; None: not known."""


class Collection(NamedTuple):
    """Several values in one answer."""

    kind: str
    """`list`, `set`, the two brackets of a tuple or interval, or the row lengths of a matrix."""
    entries: list[str]
    names: list[str]
    """`x`, `y` of a list `x=1, y=2`, as long as the entries; empty where they are all one unknown, or have none."""

    @property
    def unordered(self) -> bool:
        """Whether order and repetition do not count."""
        return self.kind in ("list", "set")


def collection(text: str, *, split_thousands: bool = False) -> Collection | None:
    """What kind of collection a text is; None for a single formula. `a \\pm b` stands for two entries."""
    if matrix := _MATRIX.match(text):
        rows = [row.split("&") for row in re.sub(r"\\\\\s*$", "", matrix[1]).split("\\\\")]
        return Collection(f"matrix {[len(row) for row in rows]}", [entry.strip() for row in rows for entry in row], [])
    kind = "list"
    if text.startswith("\\{") and text.endswith("\\}"):
        kind, text = "set", text[2:-2].strip()
    elif text[:1] in ("(", "[") and text[-1:] in (")", "]") and closes_at(text) == len(text) - 1:
        kind, text = text[0] + text[-1], text[1:-1]
    names: list[str] = []
    entries = split_entries(text, thousands=kind == "list" and not split_thousands)
    if kind in ("list", "set"):
        names, entries = _without_names(entries)
        if not names:
            entries = [signed for entry in entries for signed in both_signs(entry)]
    return Collection(kind, entries, names) if len(entries) > 1 or kind == "set" else None


def looks_like_thousands(text: str) -> bool:
    """Whether a text is one number as it stands, `1,234`, and could be a list as well."""
    return _THOUSANDS.fullmatch(text) is not None


def compare_collections(ours: Collection, theirs: Collection, *, same: Comparison) -> bool | None:
    """True: each entry has its equal on the other side. False: one certainly has none. None: not known."""
    if ours.unordered and theirs.unordered:
        if not ours.names and not theirs.names:
            return compare_unordered(ours.entries, theirs.entries, same=same)
        if ours.names and theirs.names:
            return _compare_named(ours, theirs, same=same)
    elif ours.kind != theirs.kind:
        return None
    if len(ours.entries) != len(theirs.entries):
        return False
    return all_of([same(a, b) for a, b in zip(ours.entries, theirs.entries, strict=True)])


def compare_unordered(ours: list[str], theirs: list[str], *, same: Comparison) -> bool | None:
    """As `compare_collections`, for entries whose order and repetition do not count."""
    table = [[same(a, b) for b in theirs] for a in ours]
    lines = [*table, *zip(*table, strict=True)]
    if any(all(verdict is False for verdict in line) for line in lines):
        return False
    return True if all(True in line for line in lines) else None


def split_entries(text: str, *, thousands: bool = False) -> list[str]:
    """The parts between commas or semicolons that stand in no brackets.

    With `thousands`, no comma of a number such as `1,234` divides, if no other comma stands without a space.
    """
    kept: set[int] = set()
    if thousands:
        numbers = [match.span() for match in _THOUSANDS.finditer(text)]
        kept = {place for start, end in numbers for place in range(start, end) if text[place] == ","}
        others = [place for place, c in enumerate(text) if c in ",;" and place not in kept]
        if any(not _SPACED.match(text, place) for place in others):
            kept = set()
    entries, depth = [""], 0
    for place, character in enumerate(text):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(character, 0)
        if character in ",;" and depth == 0 and place not in kept:
            entries.append("")
        else:
            entries[-1] += character
    return [entry.strip() for entry in entries]


def closes_at(text: str) -> int:
    """Where the bracket that opens the text is closed."""
    depth = 0
    for position, character in enumerate(text):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
        if depth == 0:
            return position
    return -1


def both_signs(entry: str) -> list[str]:
    """`\\pm 3` as `+ 3` and `- 3`; an entry without such a sign as it is."""
    if not _SIGNS.search(entry):
        return [entry]
    upper, lower = {"pm": "+", "mp": "-"}, {"pm": "-", "mp": "+"}
    return [_SIGNS.sub(lambda sign: upper[sign[1]], entry), _SIGNS.sub(lambda sign: lower[sign[1]], entry)]


def _without_names(entries: list[str]) -> tuple[list[str], list[str]]:
    """(names, values): the names are left out where all entries are values of one unknown, `x_1=2, x_2=3`."""
    named = [_NAMED.match(entry) for entry in entries]
    first = named[0]
    if first is not None and not any(named[1:]):
        return [], [first[3].strip(), *entries[1:]] if not any("=" in entry for entry in entries[1:]) else entries
    found = [match for match in named if match is not None]
    if len(found) < len(entries):
        return [], entries
    values = [match[3].strip() for match in found]
    one_unknown = len({match[1] for match in found}) == 1
    return [] if one_unknown else [re.sub(r"[{}]", "", match[1] + match[2]) for match in found], values


def _compare_named(ours: Collection, theirs: Collection, *, same: Comparison) -> bool | None:
    first, second = (
        dict(zip(ours.names, ours.entries, strict=True)),
        dict(zip(theirs.names, theirs.entries, strict=True)),
    )
    if first.keys() != second.keys() or len(first) != len(ours.names) or len(second) != len(theirs.names):
        return None
    return all_of([same(first[name], second[name]) for name in first])


def all_of(verdicts: list[bool | None]) -> bool | None:
    """Whether all are true; None: not known."""
    if False in verdicts:
        return False
    return True if None not in verdicts else None
