"""Divisors, multiples, factors and digits of whole numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd as greatest_common_divisor

from thinkless_core.gym.working import Working, reads
from thinkless_core.gym.workings.place_value import divide, multiply

_TIMES = " \u00d7 "
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def euclid(a: int, b: int) -> list[str]:
    """Lines `larger=smaller*quotient+rest` until the rest is zero, then the divisor."""
    larger, smaller = max(a, b), min(a, b)
    lines = []
    while smaller:
        quotient, rest = divmod(larger, smaller)
        lines.append(f"{larger}={smaller}*{quotient}+{rest}")
        larger, smaller = smaller, rest
    return [*lines, f"gcd {larger}"]


@reads("numbers")
def gcd(numbers: Sequence[int]) -> Working | None:
    """Euclid's algorithm, with the next number once two are done; the check divides all numbers by the result."""
    lines: list[str] = []
    divisor = numbers[0]
    for number in numbers[1:]:
        lines += euclid(divisor, number)
        divisor = greatest_common_divisor(divisor, number)
    check = [f"{number}/{divisor}={number // divisor}" for number in numbers]
    return Working(tuple(lines) or (f"gcd {divisor}",), str(divisor), (*check, "nothing more in common"))


@reads("numbers")
def lcm(numbers: Sequence[int]) -> Working | None:
    """One number divided by the common divisor, times the other; the check divides the result by every number."""
    lines: list[str] = []
    multiple = numbers[0]
    for number in numbers[1:]:
        divisor = greatest_common_divisor(multiple, number)
        lines += euclid(multiple, number)
        lines.append(f"{multiple}/{divisor}={multiple // divisor}")
        lines += multiply(multiple // divisor, number)
        multiple = multiple // divisor * number
    check = tuple(f"{multiple}/{number}={multiple // number}" for number in numbers)
    return Working(tuple(lines) or (str(multiple),), str(multiple), check)


@reads("numerator", "denominator", "style")
def fraction_simplification(numerator: int, denominator: int, style: str) -> Working | None:
    """Both parts divided by their greatest common divisor; the check multiplies back."""
    divisor = greatest_common_divisor(numerator, denominator)
    upper, lower = numerator // divisor, denominator // divisor
    forms = {
        "plain": f"{upper}/{lower}",
        "latex_inline": f"${upper}/{lower}$",
        "latex_frac": f"$\\frac{{{upper}}}{{{lower}}}$",
        "latex_dfrac": f"$\\dfrac{{{upper}}}{{{lower}}}$",
    }
    if style not in forms:
        return None
    lines = euclid(numerator, denominator)
    lines += [*divide(numerator, divisor), *divide(denominator, divisor), f"{upper}/{lower}"]
    check = (f"{upper}*{divisor}={numerator}", f"{lower}*{divisor}={denominator}")
    return Working(tuple(lines), forms[style], check)


@reads("number")
def prime_factorization(number: int) -> Working | None:
    """Divide by 2, 3, 5, 7, ... with the rest in sight, until the square of the next prime is larger than what is
    left; the check multiplies the factors."""
    lines, factors, left, prime = [], [], number, 2
    while prime * prime <= left:
        quotient, rest = divmod(left, prime)
        lines.append(f"{left}={prime}*{quotient}" + (f"+{rest}" if rest else ""))
        if rest:
            prime = _next_prime(prime)
        else:
            factors.append(prime)
            left = quotient
    factors.append(left)
    lines.append(f"{left} is prime")
    product, check = factors[0], []
    for factor in factors[1:]:
        check.append(f"{product}*{factor}={product * factor}")
        product *= factor
    return Working(tuple(lines), _TIMES.join(map(str, factors)), tuple(check))


def _next_prime(prime: int) -> int:
    """The smallest prime above a number."""
    candidate = prime + 1
    while any(candidate % divisor == 0 for divisor in range(2, int(candidate**0.5) + 1)):
        candidate += 1
    return candidate


@reads("source_repr", "source_base", "target_base")
def base_conversion(source_repr: str, source_base: int, target_base: int) -> Working | None:
    """Digit by digit to the decimal value, then the rests of divisions, read from the last to the first."""
    lines: list[str] = []
    if not source_repr:  # what the package writes for zero
        return None
    value = int(source_repr[0], source_base)
    if source_base != 10:
        for character in source_repr[1:]:
            digit = int(character, source_base)
            lines.append(f"{value}*{source_base}+{digit}={value * source_base + digit}")
            value = value * source_base + digit
    else:
        value = int(source_repr)
    if target_base == 10:
        return Working((*lines, f"decimal {value}"), str(value))
    digits, left = "", value
    while left or not digits:
        quotient, rest = divmod(left, target_base)
        name = f", digit {_DIGITS[rest]}" if rest > 9 else ""
        lines.append(f"{left}={target_base}*{quotient}+{rest}{name}")
        digits = _DIGITS[rest] + digits
        left = quotient
    return Working((*lines, " ".join(digits)), digits)
