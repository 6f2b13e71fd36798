"""Comparison of two values without math-verify: a hundred times cheaper, and exact.

two Values -> one spelling? words? numbers, formulas, tuples, lists, matrices, sets, `x = ...` entry by entry
           -> right, wrong, or not known
"""

from __future__ import annotations

import re

from thinkless_core.grading.canonical import LONGEST_MATHS, Value, in_units_of, read_value, same_text, units_conflict
from thinkless_core.grading.closed_form import is_closed_form, settle
from thinkless_core.grading.gathered import (
    Collection,
    all_of,
    collection,
    compare_collections,
    compare_unordered,
    looks_like_thousands,
)
from thinkless_core.grading.intervals import compare_sets, says_set
from thinkless_core.grading.plain_numbers import plain_number, same_number

_NAMED = re.compile(r"^((?:[a-zA-Z]|\\[a-z]+)(?:_\w|_\{\w+\})?(?:\([a-z]\))?)\s*(?:=|\\in(?![a-z]))([^=<>]*)$")

_CHAIN = re.compile(r"=|\\approx(?![a-zA-Z])")
_LETTER_LIST = re.compile(r"[A-J](?:,\s*[A-J])+")
_LETTER_RUN = re.compile(r"[A-J]+")
_CHOICE = re.compile(r"^(?:\(\s*([A-J])\s*\)[.:]?|([A-J])(?:\)|[.:]|\)[.:]|$))(?:\s*(\S.*))?$", re.DOTALL)


def compare_exactly(answer: Value, reference: Value) -> bool | None:
    """True: certainly right. False: certainly wrong. None: math-verify has to look."""
    answer, reference = in_units_of(answer, reference), in_units_of(reference, answer)
    if units_conflict(answer, reference):
        return False
    ours, theirs = plain_number(answer.latex), plain_number(reference.latex)
    if ours is not None and theirs is not None and answer.percent == reference.percent:
        return same_number(ours, theirs)
    if answer.spelling == reference.spelling and answer.percent == reference.percent:
        return answer.spelling != ""
    if (choices := _choices(answer.latex, reference.latex)) is not None:
        return choices
    if (answer.is_text or reference.is_text) and not (says_set(answer.latex) or says_set(reference.latex)):
        return same_text(answer, reference)
    if max(len(answer.latex), len(reference.latex)) > LONGEST_MATHS or "" in (answer.latex, reference.latex):
        return False
    if answer.percent != reference.percent:
        return _compare_percentage(answer, reference)
    return _compare_formulas(answer.latex, reference.latex)


def _choices(first: str, second: str) -> bool | None:
    """Whether the letters of two choices agree, one of them with its text behind it: `B`, `B. 12`, `(B) 12`.

    None if that is not what the two are. A text without its letter is compared with the text behind the letter.
    Several letters are a list or one word, `A, C` or `AC`.
    """
    lists = [_LETTER_LIST.fullmatch(text) for text in (first, second)]
    if any(lists) and all(_LETTER_RUN.fullmatch(text.replace(",", "").replace(" ", "")) for text in (first, second)):
        return set(first) - {",", " "} == set(second) - {",", " "}
    ours, theirs = (_CHOICE.match(re.sub(r"\\text\s*\{([^{}]*)\}", r"\1", text)) for text in (first, second))
    letters = [match and (match[1] or match[2]) for match in (ours, theirs)]
    texts = [match and match[3] for match in (ours, theirs)]
    if ours and theirs:
        return letters[0] == letters[1] if any(texts) else None
    if texts[0]:
        return _same_entry(texts[0], second)
    return _same_entry(first, texts[1]) if texts[1] else None


def _compare_percentage(answer: Value, reference: Value) -> bool | None:
    """One of the two has a percent sign: 50% is 50 if the sign was left out, and 0.5 if it was worked out."""
    share, number = (answer, reference) if answer.percent else (reference, answer)
    verdicts = [settle(share.latex, number.latex), settle(f"\\frac{{{share.latex}}}{{100}}", number.latex)]
    if True in verdicts:
        return True
    return False if verdicts == [False, False] else None


def _compare_formulas(answer: str, reference: str) -> bool | None:
    if says_set(answer) or says_set(reference):
        return compare_sets(answer, reference)
    chains = [_CHAIN.split(text) for text in (answer, reference)]
    if len(chains[0]) == len(chains[1]) > 1 and all(_is_number(side) for chain in chains for side in chain):
        return all_of([_same_entry(a, b) for a, b in zip(*chains, strict=True)])
    answer, reference = _without_common_name(answer, reference)
    ours, theirs = collection(answer), collection(reference)
    if ours is None and theirs is not None and looks_like_thousands(answer):
        ours = collection(answer, split_thousands=True)
    if theirs is None and ours is not None and looks_like_thousands(reference):
        theirs = collection(reference, split_thousands=True)
    if ours is None and theirs is None:
        return settle(answer, reference)
    if ours is not None and theirs is not None:
        return compare_collections(ours, theirs, same=_same_entry)
    return _compare_with_one(ours or theirs, answer if ours is None else reference)


def _compare_with_one(many: Collection | None, one: str) -> bool | None:
    if many is None or not is_closed_form(one):
        return None
    return compare_unordered(many.entries, [one], same=_same_entry) if many.unordered else False


def _is_number(text: str) -> bool:
    latex = read_value(text).latex
    return is_closed_form(latex) and not re.search(r"(?<![\\a-zA-Z])[a-zA-Z]", latex)


def _same_entry(first: str, second: str) -> bool | None:
    return compare_exactly(read_value(first), read_value(second))


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
