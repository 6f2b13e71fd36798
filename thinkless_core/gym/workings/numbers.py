"""Divisors, multiples, factors and digits of whole numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd as greatest_common_divisor

from thinkless_core.gym.working import Working, reads


def euclid(a: int, b: int) -> list[str]:
    """Lines `larger=smaller*quotient+rest` until the rest is zero; the last smaller number is the divisor."""
    larger, smaller = max(a, b), min(a, b)
    lines = []
    while smaller:
        quotient, rest = divmod(larger, smaller)
        lines.append(f"{larger}={smaller}*{quotient}+{rest}")
        larger, smaller = smaller, rest
    return lines


@reads("numbers")
def gcd(numbers: Sequence[int]) -> Working | None:
    """Euclid's algorithm, with the next number once two are done; the check divides all numbers by the result."""
    lines: list[str] = []
    divisor = numbers[0]
    for number in numbers[1:]:
        lines += euclid(divisor, number)
        divisor = greatest_common_divisor(divisor, number)
        lines.append(f"gcd {divisor}")
    check = [f"{number}/{divisor}={number // divisor}" for number in numbers]
    return Working(tuple(lines) or (f"gcd {divisor}",), str(divisor), (*check, "nothing more in common"))
