"""Comparison of two values without math-verify: a hundred times cheaper, and exact.

two Values -> one spelling? words? numbers, formulas, tuples, lists, matrices, `x = ...` entry by entry
           -> right, wrong, or not known
"""

from __future__ import annotations

import re
from decimal import Decimal

from thinkless_core.grading.canonical import LONGEST_MATHS, Value, in_units_of, same_text, units_conflict
from thinkless_core.grading.closed_form import is_closed_form, settle
from thinkless_core.grading.gathered import collection, compare_unions, compare_unordered

_NUMBER = re.compile(r"[-+]?(\d{1,3}(,\d{3})+|\d+|(?=\.\d))(\.\d*)?", re.ASCII)
_NAMED = re.compile(r"^([a-zA-Z]|\\[a-z]+)\s*(?:=|\\in(?![a-z]))([^=<>]*)$")


def compare_exactly(answer: Value, reference: Value) -> bool | None:
    """True: certainly right. False: certainly wrong. None: math-verify has to look."""
    answer, reference = in_units_of(answer, reference), in_units_of(reference, answer)
    if units_conflict(answer, reference):
        return False
    ours, theirs = plain_number(answer.latex), plain_number(reference.latex)
    if ours is not None and theirs is not None and answer.percent == reference.percent:
        return ours == theirs
    if answer.spelling == reference.spelling and answer.percent == reference.percent:
        return answer.spelling != ""
    if answer.is_text or reference.is_text:
        return same_text(answer, reference)
    if max(len(answer.latex), len(reference.latex)) > LONGEST_MATHS or "" in (answer.latex, reference.latex):
        return False
    if answer.percent != reference.percent:
        return _compare_percentage(answer, reference)
    return _compare_formulas(answer.latex, reference.latex)


def plain_number(text: str) -> str | None:
    """One spelling per plain number, every digit kept (no sign noise, commas, idle zeros); None if it is none."""
    if not _NUMBER.fullmatch(text):
        return None
    # Decimal keeps every digit; its own normalize() would round to 28 of them.
    number = f"{Decimal(text.replace(',', '')).copy_abs():f}"
    digits = number.rstrip("0").rstrip(".") if "." in number else number
    return f"-{digits}" if text.startswith("-") and digits != "0" else digits


def _compare_percentage(answer: Value, reference: Value) -> bool | None:
    """One of the two has a percent sign: 50% is 50 if the sign was left out, and 0.5 if it was worked out."""
    share, number = (answer, reference) if answer.percent else (reference, answer)
    verdicts = [settle(share.latex, number.latex), settle(f"\\frac{{{share.latex}}}{{100}}", number.latex)]
    if True in verdicts:
        return True
    return False if verdicts == [False, False] else None


def _compare_formulas(answer: str, reference: str) -> bool | None:
    answer, reference = _without_common_name(answer, reference)
    ours, theirs = collection(answer), collection(reference)
    if ours is None and theirs is None:
        return settle(answer, reference)
    if ours is None or theirs is None:
        many = ours or theirs
        one = answer if ours is None else reference
        if many is None or not is_closed_form(one):
            return None
        return compare_unordered(many.entries, [one]) if many.unordered else False
    if ours.kind == theirs.kind == "union":
        return compare_unions(ours.entries, theirs.entries)
    if "union" in (ours.kind, theirs.kind):
        return None
    if ours.unordered and theirs.unordered:
        return compare_unordered(ours.entries, theirs.entries)
    if ours.kind != theirs.kind:
        return None
    if len(ours.entries) != len(theirs.entries):
        return False
    verdicts = [settle(a, b) for a, b in zip(ours.entries, theirs.entries, strict=True)]
    if False in verdicts:
        return False
    return True if all(verdicts) else None


def _without_common_name(answer: str, reference: str) -> tuple[str, str]:
    """`x = 5` against `x = 6` or against `6` is 5 against 6; names that differ are left in place."""
    ours, theirs = _NAMED.match(answer), _NAMED.match(reference)
    if ours and theirs and ours[1] == theirs[1]:
        return ours[2].strip(), theirs[2].strip()
    if ours and not theirs and "=" not in reference:
        return ours[2].strip(), reference
    if theirs and not ours and "=" not in answer:
        return answer, theirs[2].strip()
    return answer, reference
