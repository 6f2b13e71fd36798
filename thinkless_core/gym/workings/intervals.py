"""Times and dates that lie apart by some days, hours, minutes and seconds."""

from __future__ import annotations

from datetime import date, datetime

from thinkless_core.gym.working import Working, reads
from thinkless_core.gym.workings.days import days_between

_UNITS = ("hours", "minutes", "seconds")
_SIZES = (24, 60, 60)
_FORMATS = {
    "HH:MM": ("time", 2),
    "HH:MM:SS": ("time", 3),
    "D days": ("date", 0),
    "D days, HH:MM": ("datetime", 2),
    "D days, HH:MM:SS": ("datetime", 3),
}


@reads("start_time", "end_time", "expected_format")
def time_intervals(start_time: str, end_time: str, expected_format: str) -> Working | None:
    """Days month by month; then the smallest unit first, borrowing from the next one. None for milliseconds (which the
    package cuts off wrongly) and for times with an offset."""
    start, end = datetime.fromisoformat(start_time), datetime.fromisoformat(end_time)
    if expected_format not in _FORMATS or start.tzinfo or end.tzinfo or end < start:
        return None
    kind, places = _FORMATS[expected_format]
    lines: list[str] = []
    days = 0
    if kind != "time":
        lines, days = days_between(date(*start.timetuple()[:3]), date(*end.timetuple()[:3]), both=False)
    clock, borrowed, units = _clock(start, end, places)
    lines += clock
    if borrowed:
        lines.append(f"days {days}-1={days - 1}")
        days -= 1
    time = ":".join(f"{unit:02d}" for unit in units)
    answer = ", ".join(part for part in (f"{days} days" if kind != "time" else "", time) if part)
    return Working((*lines, answer), answer)


def _clock(start: datetime, end: datetime, places: int) -> tuple[list[str], bool, list[int]]:
    """Lines of a difference of two times of day, whether a day was borrowed, and the difference unit by unit."""
    first = (start.hour, start.minute, start.second)[:places]
    second = (end.hour, end.minute, end.second)[:places]
    lines: list[str] = []
    units: list[int] = []
    borrowed = False
    for index in reversed(range(places)):
        unit = second[index] - first[index] - borrowed
        lines.append(f"{_UNITS[index]} {second[index]}-{first[index]}{'-1' if borrowed else ''}={unit}")
        borrowed = unit < 0
        if borrowed:
            lines.append(f"{unit}+{_SIZES[index]}={unit + _SIZES[index]}")
            unit += _SIZES[index]
        units.insert(0, unit)
    return lines, borrowed, units
