"""Sorting by selection: what is left, and the next of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from thinkless_core.gym.working import Working, reads


def select(items: Sequence[str], key: Callable[[str], float | str], *, descending: bool) -> list[str]:
    """Lines `what is left: next`, until two are left, which are then named in order."""
    left, lines = list(items), []
    while left:
        next_one = (max if descending else min)(left, key=key)
        after = list(left)
        after.remove(next_one)
        picked = f"{next_one}, {after[0]}" if len(after) == 1 else next_one
        lines.append(f"{', '.join(left)}: {picked}")
        left = after if len(after) > 1 else []
    return lines


def compared(items: Sequence[str], key: Callable[[str], float | str], *, descending: bool) -> str:
    """All items in their order, with the sign of their comparison between neighbours."""
    text = items[0]
    for one, other in pairwise(items):
        sign = "=" if key(one) == key(other) else ">" if descending else "<"
        text += f" {sign} {other}"
    return text


@reads("original_numbers", "sorted_numbers", "direction")
def number_sorting(original_numbers: Sequence[str], sorted_numbers: Sequence[str], direction: str) -> Working | None:
    """The least (or greatest) of what is left, again and again; the check compares neighbours."""
    descending = direction == "descending"
    lines = select(original_numbers, float, descending=descending)
    ordered = sorted(original_numbers, key=float, reverse=descending)
    if list(map(float, ordered)) != list(map(float, sorted_numbers)):
        return None
    return Working(tuple(lines), str(list(sorted_numbers)), (compared(ordered, float, descending=descending),))


@reads("transformed_words", "direction")
def word_sorting(transformed_words: Sequence[str], direction: str) -> Working | None:
    """The first (or last) word of what is left, again and again; the check compares neighbours."""
    descending = direction == "descending"
    lines = select(transformed_words, str, descending=descending)
    ordered = sorted(transformed_words, reverse=descending)
    return Working(tuple(lines), ", ".join(ordered), (compared(ordered, str, descending=descending),))


@reads("original_numbers", "filter_value", "operation")
def number_filtering(original_numbers: Sequence[str], filter_value: str, operation: str) -> Working | None:
    """Every number beside the limit, and whether it stays."""
    action, _, side = operation.partition("_")
    limit, lines, kept = float(filter_value), [], []
    for number in original_numbers:
        sign = "<" if float(number) < limit else ">" if float(number) > limit else "="
        stays = (sign == (">" if side == "larger" else "<")) == (action == "keep")
        lines.append(f"{number} {sign} {filter_value} {'keep' if stays else 'remove'}")
        if stays:
            kept.append(number)
    return Working(tuple(lines), str(kept))
