"""Plain numbers, compared digit by digit; the noise that a float leaves in a file is no difference.

text -> one spelling per number -> the same, different, or no plain number
"""

from __future__ import annotations

import re
import struct
from decimal import Decimal

_NUMBER = re.compile(r"[-+]?(\d{1,3}(,\d{3})+|\d+|(?=\.\d))(\.\d*)?", re.ASCII)
MOST_DIGITS_MEANT = 12
"""Significant digits up to which a number may be what a noisy one stood for."""


def plain_number(text: str) -> str | None:
    """One spelling per plain number, every digit kept (no sign noise, commas, idle zeros); None if it is none."""
    if not _NUMBER.fullmatch(text):
        return None
    # Decimal keeps every digit; its own normalize() would round to 28 of them.
    number = f"{Decimal(text.replace(',', '')).copy_abs():f}"
    digits = number.rstrip("0").rstrip(".") if "." in number else number
    return f"-{digits}" if text.startswith("-") and digits != "0" else digits


def same_number(first: str, second: str) -> bool:
    """Whether two spellings of `plain_number` are one number, or one with and without the noise of a float.

    A column of 32-bit floats holds 0.10000000149011612 for 0.1; sums of 64-bit floats give 2.3000000000000003.
    """
    if first == second:
        return True
    long, short = sorted((first, second), key=len, reverse=True)
    digits = _significant_digits(long)
    if not 13 <= digits <= 17 or "." not in long or _significant_digits(short) > MOST_DIGITS_MEANT:
        return False
    value = float(short)
    try:
        narrow = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        narrow = value
    is_narrow = float(long) == narrow
    return is_narrow or (digits >= 16 and f"{float(long):.15g}" == f"{value:.15g}")


def _significant_digits(number: str) -> int:
    return len(number.lstrip("-").replace(".", "").lstrip("0"))
