"""Chains of sums and products of whole numbers."""

from __future__ import annotations

import re

from thinkless_core.gym.working import Working, reads
from thinkless_core.gym.workings.place_value import add, combine, multiply, subtract

_CHAIN = re.compile(r"-?\d+(?: [+-] -?\d+)*")
_PRODUCT = re.compile(r"-?\d+(?: \* -?\d+)*")


@reads("expression")
def chain_sum(expression: str) -> Working | None:
    """All that is added, all that is taken away, then one difference; the check goes from left to right."""
    if not _CHAIN.fullmatch(expression):
        return None
    signed = [int(f"{sign or '+'}1") * int(number) for sign, number in re.findall(r"(?:([+-]) )?(-?\d+)", expression)]
    plus, minus = [n for n in signed if n >= 0], [-n for n in signed if n < 0]
    total, answer = signed[0], sum(signed)
    lines = add_up(plus)
    if len(signed) > 2 and minus:
        lines = [f"plus {' '.join(map(str, plus)) or 0}", *lines, f"minus {' '.join(map(str, minus))}", *add_up(minus)]
    if minus:
        lines += subtract(sum(plus), sum(minus))
    check = []
    for number in signed[1:]:
        check.append(f"{total}{'-' if number < 0 else '+'}{abs(number)}={total + number}")
        total += number
    if len(signed) == 2:
        check = add(signed[1], signed[0]) if not minus else combine(answer, "+", -signed[1])
    return Working(tuple(lines) or (f"{answer}",), str(answer), tuple(check))


def add_up(numbers: list[int]) -> list[str]:
    """Lines of a running sum of numbers that are not negative; none for fewer than two."""
    lines: list[str] = []
    total = sum(numbers[:1])
    for number in numbers[1:]:
        lines += add(total, number)
        total += number
    return lines


@reads("expression")
def products(expression: str) -> Working | None:
    """One product after the other, place by place; the check multiplies the other way round."""
    if not _PRODUCT.fullmatch(expression):
        return None
    numbers = [int(number) for number in expression.split(" * ")]
    lines, total = multiply_up(numbers)
    check, _ = multiply_up(numbers[::-1])
    return Working(tuple(lines) or (f"{total}",), str(total), tuple(check))


def multiply_up(numbers: list[int]) -> tuple[list[str], int]:
    """Lines of a running product, and the product."""
    lines: list[str] = []
    total = numbers[0]
    for number in numbers[1:]:
        lines += multiply(total, number)
        total *= number
    return lines, total
