"""Counting days from date to date, month by month, and going along the days of the week."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import date, timedelta

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def days_between(start: date, end: date, *, both: bool) -> tuple[list[str], int]:
    """Lines that count the days from start to end, and their number; `both` counts the first day as well."""
    more = 1 if both else 0
    if (start.year, start.month) == (end.year, end.month):
        total = end.day - start.day + more
        return [f"{end.day}-{start.day}{'+1' if both else ''}={total}"], total
    last = calendar.monthrange(start.year, start.month)[1]
    total = last - start.day + more
    lines = [f"{calendar.month_name[start.month]} {last}-{start.day}{'+1' if both else ''}={total}"]
    day = date(start.year, start.month, last) + timedelta(days=1)
    while day <= end:
        length = calendar.monthrange(day.year, day.month)[1]
        inside = (day.year, day.month) == (end.year, end.month)
        count = end.day if inside else length
        lines += [f"{calendar.month_name[day.month]} {count}", f"{total}+{count}={total + count}"]
        total += count
        day += timedelta(days=length)
    return lines, total


def weeks(days: int) -> tuple[str, int, int]:
    """The line that splits days into weeks and a rest, and both numbers."""
    full, rest = divmod(days, 7)
    return f"{days}=7*{full}+{rest}", full, rest


def along(weekday: str, steps: int, *, backward: bool = False) -> list[str]:
    """The weekdays that follow (or precede) a weekday, `steps` of them."""
    start, direction = WEEKDAYS.index(weekday), -1 if backward else 1
    return [WEEKDAYS[(start + direction * step) % 7] for step in range(1, steps + 1)]


def arrive(weekday: str, steps: int, *, backward: bool = False) -> tuple[str, str]:
    """The line that goes from a weekday to the one some days later or earlier, and that weekday."""
    passed = [weekday, *along(weekday, steps, backward=backward)]
    return f"{steps} {'back' if backward else 'on'}: {', '.join(passed)}", passed[-1]


def count_of(found: Sequence[str], wanted: Sequence[str]) -> int:
    """How many of the weekdays found are wanted."""
    return sum(weekday in wanted for weekday in found)
