"""Numbers of formulas: fractions as long as there is only rational arithmetic, else complex numbers of 50 digits."""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import Any

Number = Any
"""A Fraction, or a complex number of mpmath (which has no types)."""

DIGITS = 50
"""Decimal digits of a number that is no fraction."""

MAX_POWER_BITS = 16384
"""Size up to which a power of a fraction is computed exactly."""
MAX_FACTORIAL = 1000


class NotClosedForm(Exception):  # noqa: N818 - an outcome of reading, not a fault
    """The text is no formula of this grammar."""


@functools.cache
def precise() -> Any:
    """Arithmetic with 50 digits."""
    from mpmath.ctx_mp import MPContext  # slow import, only where a value is no fraction

    context = MPContext()
    context.dps = DIGITS
    return context


def inexact(value: Number) -> Number:
    """A value as a number of 50 digits."""
    context = precise()
    return context.mpf(value.numerator) / value.denominator if isinstance(value, Fraction) else value


def added(first: Number, second: Number) -> Number:
    """The sum."""
    if isinstance(first, Fraction) and isinstance(second, Fraction):
        return first + second
    return inexact(first) + inexact(second)


def multiplied(first: Number, second: Number) -> Number:
    """The product."""
    if isinstance(first, Fraction) and isinstance(second, Fraction):
        return first * second
    return inexact(first) * inexact(second)


def divided(top: Number, bottom: Number) -> Number:
    """The quotient."""
    if isinstance(top, Fraction) and isinstance(bottom, Fraction):
        return top / bottom
    return inexact(top) / inexact(bottom)


def powered(base: Number, exponent: Number) -> Number:
    """The power, exact where base and exponent are; raises NotClosedForm if it is too large."""
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        bits = max(base.numerator.bit_length(), base.denominator.bit_length(), 1)
        if bits * abs(exponent) > MAX_POWER_BITS:
            raise NotClosedForm("power too large")
        return base ** int(exponent)
    if abs(inexact(exponent)) > MAX_POWER_BITS:
        raise NotClosedForm("power too large")
    return precise().mpc(inexact(base)) ** inexact(exponent)


def factorial(number: Number) -> Fraction:
    """The factorial; raises NotClosedForm for what is no small whole number."""
    if not isinstance(number, Fraction) or number.denominator != 1 or not 0 <= number <= MAX_FACTORIAL:
        raise NotClosedForm("factorial of no small whole number")
    return Fraction(math.factorial(int(number)))


SAME_DIGITS = 30
"""Digits in which two irrational numbers that are one agree; what rounding at 50 digits leaves is more."""


def same_digits(first: Number, second: Number) -> float | None:
    """Number of leading digits in which two values agree; None if both may be nothing but rounding."""
    context = precise()
    a, b = inexact(first), inexact(second)
    size, difference = max(abs(a), abs(b)), abs(a - b)
    if size < context.mpf(10) ** -SAME_DIGITS / 10:
        return None
    return math.inf if difference == 0 else float(-context.log10(difference / size))


def is_gap(first: Number, second: Number) -> bool:
    """Whether two values differ by more than a decimal that was rounded to six digits could."""
    a, b = inexact(first), inexact(second)
    return bool(abs(a - b) > max(abs(a), abs(b)) * 1e-5)
