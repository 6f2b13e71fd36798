"""Reads `\\boxed{...}`, the mark around a final value, in references and completions alike.

text -> closed boxes, in order -> value of the last one, or of the last ones side by side (`\\boxed{2} and \\boxed{3}`)
"""

from __future__ import annotations

import re
from typing import NamedTuple

_BOX = re.compile(r"\\(?:boxed|fbox|framebox)(?![a-zA-Z])\s*")
_BARE = re.compile(r"\\[a-zA-Z]+(?:\{[^{}]*\})*|[^\s$\\{}.,;]+")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_NAME = r"[a-zA-Z](?:_\w|_\{\w+\})?\s*="
_JOIN = r"[,;]|and|or|\\(?:text|mbox|textrm)\s*\{\s*,?\s*(?:and|or)\s*\}"
_COUNTED = (
    r"\s*(?:\\text\s*\{|\s)\s*(?:(?!(?:is|are|so|then|hence|gives|which|while)\b)[a-zA-Z()]+\s+){1,4}(?:and|or)[\s}$]+"
)
_SIDE_BY_SIDE = re.compile(
    rf"(?:{_COUNTED})?(?:[\s~$]|\\[()\[\],;! ]|\\q?quad(?![a-zA-Z])|{_JOIN})*(?:{_NAME}[\s~$]*)?"
)


class Box(NamedTuple):
    """A closed box."""

    start: int
    """Where its command begins."""
    end: int
    """Where the text behind it begins."""
    value: str


def closed_boxes(text: str) -> list[Box]:
    """Closed boxes that stand in no other: `\\boxed{7}`, `\\boxed {7}`, `\\boxed 7`, `\\fbox{7}`; `\\{` is no brace."""
    boxes: list[Box] = []
    for command in _BOX.finditer(text):
        if boxes and command.start() < boxes[-1].end:
            continue
        if text.startswith("{", command.end()):
            end = _closing_brace(text, command.end())
            if end is not None:
                boxes.append(Box(command.start(), end, text[command.end() + 1 : end - 1].strip()))
        elif bare := _BARE.match(text, command.end()):
            boxes.append(Box(command.start(), bare.end(), bare.group()))
    return boxes


def boxed_value(text: str) -> str | None:
    """What the last closed box holds; of boxes side by side, their values as a list. None if there is none."""
    boxes = closed_boxes(text)
    if not boxes:
        return None
    first = len(boxes) - 1
    while first and _side_by_side(text[boxes[first - 1].end : boxes[first].start]):
        first -= 1
    return ", ".join(dict.fromkeys(_innermost(box.value) for box in boxes[first:]))


def _side_by_side(between: str) -> bool:
    """Whether what stands between two boxes joins them; a blank line does not."""
    return "\n\n" not in between and _SIDE_BY_SIDE.fullmatch(between) is not None


def _innermost(value: str) -> str:
    """`\\boxed{7}` in a box is 7."""
    inner = closed_boxes(value)
    return _innermost(inner[0].value) if len(inner) == 1 and inner[0].end - inner[0].start == len(value) else value


def _closing_brace(text: str, start: int) -> int | None:
    """The place behind the brace that closes the one at `start`."""
    depth = 0
    for brace in _BRACE.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(brace.group(), 0)
        if depth == 0:
            return brace.end()
    return None
