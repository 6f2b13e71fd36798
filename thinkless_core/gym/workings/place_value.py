"""Sums, differences, products and quotients of whole numbers, one place value at a time.

Every function returns lines `a+b=c` that a reader can check one by one; the last line ends with the result.
"""

from __future__ import annotations


def places(number: int) -> list[int]:
    """A number as the sum of its digits at their places: 407 -> [400, 7]; zero -> [0]."""
    digits = str(abs(number))
    values = [int(digit) * 10 ** (len(digits) - 1 - position) for position, digit in enumerate(digits)]
    return [value for value in values if value] or [0]


def add(a: int, b: int) -> list[str]:
    """Lines that add `b >= 0` to `a >= 0`: 37 + 48 -> 37+40=77, 77+8=85."""
    lines = []
    for value in places(b):
        lines.append(f"{a}+{value}={a + value}")
        a += value
    return lines


def subtract(a: int, b: int) -> list[str]:
    """Lines that take `b >= 0` from `a >= 0`; if b is larger, the other way round first: 3-8 -> 8-3=5, 3-8=-5."""
    if b > a:
        return [*subtract(b, a), f"{a}-{b}={a - b}"]
    lines = []
    for value in places(b):
        lines.append(f"{a}-{value}={a - value}")
        a -= value
    return lines


def combine(a: int, operation: str, b: int) -> list[str]:
    """Lines for `a + b` or `a - b` with any signs; the last one has the operation itself if `a` is negative."""
    other = b if operation == "+" else -b
    if a >= 0:
        return add(a, other) if other >= 0 else subtract(a, -other)
    lines = subtract(other, -a) if other >= 0 else add(-a, -other)
    return [*lines, f"{a}{'+' if other >= 0 else '-'}{abs(other)}={a + other}"]


def multiply(a: int, b: int) -> list[str]:
    """Lines for a product: every place of `a` times every place of `b`, then their sum. Signs come last."""
    left, right = places(a), places(b)
    parts = [(x * y, f"{x}*{y}={x * y}") for x in left for y in right]
    lines = [line for _, line in parts]
    total = parts[0][0]
    for part, _ in parts[1:]:
        lines.append(f"{total}+{part}={total + part}")
        total += part
    if a < 0 or b < 0:
        lines.append(f"{a}*{b}={a * b}")
    return lines


def divide(a: int, b: int) -> list[str]:
    """Lines for a quotient that comes out even, both positive: 276/6 -> 6*40=240, 276-240=36, 6*6=36, 276/6=46.

    One line if it is in the times tables: a quotient of one digit, or a number up to 144.
    """
    if a // b < 10 or a <= 144 or b == 1:
        return [f"{a}/{b}={a // b}"]
    lines, rest = [], a
    for value in places(a // b):
        lines.append(f"{b}*{value}={b * value}")
        if rest != b * value:
            lines.append(f"{rest}-{b * value}={rest - b * value}")
        rest -= b * value
    return [*lines, f"{a}/{b}={a // b}"]
