"""Probabilities of coins and dice, by counting cases."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise
from math import gcd
from typing import Any

from thinkless_core.gym.working import Working, reads
from thinkless_core.gym.workings.counting import running_sum
from thinkless_core.gym.workings.numbers import euclid


@reads("num_trials", "k_heads", "problem_type")
def coin_flip(num_trials: int, k_heads: int, problem_type: str) -> Working | None:
    """Pascal's triangle down to the number of flips, the cases that count, then halving down to the decimal.

    None if the decimal has more digits than the package writes.
    """
    if problem_type not in ("exact", "at_least"):
        return None
    row, lines = [1, 1], ["1: 1 1"]
    for flips in range(2, num_trials + 1):
        row = [1, *(left + right for left, right in pairwise(row)), 1]
        lines.append(f"{flips}: {' '.join(map(str, row))}")
    chosen = row[k_heads:] if problem_type == "at_least" else [row[k_heads]]
    lines += running_sum(chosen)
    chance = Fraction(sum(chosen), 2**num_trials)
    lines.append(f"{sum(chosen)}/{2**num_trials}={chance}")
    lines += _halvings(chance)
    return Working(tuple(lines), format(float(chance), ".10g"))


def _halvings(chance: Fraction) -> list[str]:
    """Lines that divide a numerator by two until the power of two below it is used up."""
    value, lines = Fraction(chance.numerator), []
    for _ in range(chance.denominator.bit_length() - 1):
        lines.append(f"{_decimal(value)}/2={_decimal(value / 2)}")
        value /= 2
    return lines


def _decimal(value: Fraction) -> str:
    """A fraction whose denominator is a power of two, as an exact decimal."""
    places = value.denominator.bit_length() - 1
    digits = str(value.numerator * 5**places).zfill(places + 1)
    return f"{digits[: len(digits) - places]}.{digits[len(digits) - places :]}" if places else digits


@reads("puzzle")
def dice(puzzle: Mapping[str, Any]) -> Working | None:
    """For each face of the smaller of two dice, how many faces of the larger one are enough. None for other numbers."""
    sizes = [int(size) for size in re.findall(r"1d(\d+)", puzzle["dice_str"])]
    if len(sizes) != 2:
        return None
    larger, smaller = max(sizes), min(sizes)
    lines, counts = [], []
    for face in range(1, smaller + 1):
        need = puzzle["target"] - face
        counts.append(max(0, min(larger, larger - need + 1)))
        lines.append(f"{face} needs {max(need, 1)}: {counts[-1]}")
    ways, total = sum(counts), larger * smaller
    lines += [*running_sum(counts), f"{larger}*{smaller}={total}", *euclid(ways, total)]
    divisor = gcd(ways, total)
    answer = f"{ways // divisor}/{total // divisor}"
    return Working((*lines, f"{ways}/{total}={answer}"), answer)
