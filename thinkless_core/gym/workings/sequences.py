"""The next number of a sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from thinkless_core.gym.working import Working, reads

Rule = Callable[[Sequence[int], int], tuple[str, int]]
"""(sequence, position) -> the line that makes the number at the position, and the number."""


@reads("sequence")
def number_sequence(sequence: Sequence[int]) -> Working | None:
    """The first rule that makes every visible number: add c; times m; times m, add c; add the one before, and c.

    A line for each number that the rule has to explain, then one for the number asked. None if no such rule fits.
    """
    visible = list(sequence[:-1])
    for first, name, rule in _rules(visible):
        made = [rule(visible, position) for position in range(first, len(visible))]
        if made and [number for _, number in made] == visible[first:]:
            line, answer = rule(visible, len(visible))
            return Working((name, *(text for text, _ in made), line), str(answer))
    return None


def _rules(numbers: Sequence[int]) -> Iterator[tuple[int, str, Rule]]:
    """(first position explained, name, rule), simplest first, with the constants that the first numbers fix."""
    a, b, c = numbers[:3]
    yield 1, f"each time {_signed(b - a)}", _linear(1, b - a)
    if a and b % a == 0:
        yield 1, f"each time *{b // a}", _linear(b // a, 0)
    yield 2, "the last two together", _together(0)
    if b - a and (c - b) % (b - a) == 0:
        factor = (c - b) // (b - a)
        yield 1, f"each time *{factor}{_signed(b - factor * a)}", _linear(factor, b - factor * a)
    yield 2, f"the last two together {_signed(c - a - b)}", _together(c - a - b)


def _signed(number: int) -> str:
    return f"+{number}" if number >= 0 else str(number)


def _linear(factor: int, constant: int) -> Rule:
    def rule(numbers: Sequence[int], position: int) -> tuple[str, int]:
        number = numbers[position - 1] * factor + constant
        times = f"*{factor}" if factor != 1 else ""
        return f"{numbers[position - 1]}{times}{_signed(constant) if constant else ''}={number}", number

    return rule


def _together(constant: int) -> Rule:
    def rule(numbers: Sequence[int], position: int) -> tuple[str, int]:
        one, other = numbers[position - 2], numbers[position - 1]
        number = one + other + constant
        return f"{one}{_signed(other)}{_signed(constant) if constant else ''}={number}", number

    return rule
