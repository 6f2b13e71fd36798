"""Questions about the calendar: weekdays of dates, days in a span, leap years."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from thinkless_core.gym.working import Working, WorkOut, reads
from thinkless_core.gym.workings.days import WEEKDAYS, along, arrive, count_of, days_between, weeks

_ASKED = re.compile(r"(?:How many (\w+day)s are|occurrences of (\w+day) from|does (\w+day) occur)")
_ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3}


def calendar_arithmetic(entry: Mapping[str, Any]) -> Working | None:
    """The working of whichever of the seven kinds of question the entry is."""
    kind = _KINDS.get(entry.get("metadata", {}).get("task", ""))
    return kind(entry) if kind else None


@reads("start_date", "offset_days")
def weekday_offset(start_date: str, offset_days: int) -> Working | None:
    """Whole weeks change nothing; the rest is counted off. The check counts back."""
    start = WEEKDAYS[date.fromisoformat(start_date).weekday()]
    backward = offset_days < 0
    line, _, rest = weeks(abs(offset_days))
    walk, answer = arrive(start, rest, backward=backward)
    back, _ = arrive(answer, rest, backward=not backward)
    return Working((line, walk), answer, (back,))


def from_first_day(first_day: str, day: date) -> tuple[list[str], str]:
    """Lines from the weekday of January 1 to that of a day of the same year, and that weekday."""
    before = (date(day.year, day.month, 1) - date(day.year, 1, 1)).days
    later = before + day.day - 1
    lines = [f"January 1 {first_day}"]
    lines.append(f"{before} days before {calendar.month_name[day.month]}")
    lines.append(f"{before}+{day.day}-1={later}")
    split, _, rest = weeks(later)
    walk, weekday = arrive(first_day, rest)
    return [*lines, split, walk], weekday


@reads("target_date")
def weekday_of_date(target_date: str) -> Working | None:
    """From January 1 of the year, whose weekday has to be known."""
    day = date.fromisoformat(target_date)
    lines, weekday = from_first_day(WEEKDAYS[date(day.year, 1, 1).weekday()], day)
    return Working(tuple(lines), weekday)


@reads("first_day", "target_date")
def weekday_from_first_date(first_day: str, target_date: str) -> Working | None:
    """From the weekday of January 1 that the question gives."""
    lines, weekday = from_first_day(first_day, date.fromisoformat(target_date))
    return Working(tuple(lines), weekday)


@reads("year", "month", "ordinal", "weekday")
def recurring_event_day(year: int, month: int, ordinal: str, weekday: str) -> Working | None:
    """The weekday of the first of the month, the first such weekday, then week by week."""
    first = date(year, month, 1)
    lines, start = from_first_day(WEEKDAYS[date(year, 1, 1).weekday()], first)
    steps = (WEEKDAYS.index(weekday) - WEEKDAYS.index(start)) % 7
    last = calendar.monthrange(year, month)[1]
    day = 1 + steps
    lines += [f"to {weekday} {steps}", f"1+{steps}={day}"]
    times = _ORDINALS.get(ordinal, (last - day) // 7)
    for _ in range(times):
        lines.append(f"{day}+7={day + 7}")
        day += 7
    if ordinal == "last":
        lines.append(f"the month has {last} days: {day}")
    return Working(tuple(lines), str(day))


@reads("question", "start_date", "end_date")
def count_days(question: str, start_date: str, end_date: str) -> Working | None:
    """Once per whole week, and the weekdays of the rest one by one."""
    asked = _ASKED.search(question)
    if asked is None:
        return None
    wanted = next(name for name in asked.groups() if name)
    return _count(date.fromisoformat(start_date), date.fromisoformat(end_date), (wanted,))


@reads("question", "start_date", "end_date")
def count_business_days(question: str, start_date: str, end_date: str) -> Working | None:
    """Five per whole week, and the weekdays of the rest one by one. None for a span over the end of a year, which the
    package writes with the wrong year."""
    start, end = date.fromisoformat(start_date), date.fromisoformat(end_date)
    return _count(start, end, WEEKDAYS[:5]) if start.year == end.year else None


def _count(start: date, end: date, wanted: tuple[str, ...]) -> Working:
    lines, days = days_between(start, end, both=True)
    split, full, rest = weeks(days)
    first = WEEKDAYS[start.weekday()]
    left = [first, *along(first, rest - 1)] if rest else []
    more = count_of(left, wanted)
    per_week = full * len(wanted)
    lines.append(split)
    if len(wanted) > 1:
        lines.append(f"{full}*{len(wanted)}={per_week}")
    lines += [f"left: {', '.join(left) or 'none'}", f"{per_week}+{more}={per_week + more}"]
    return Working(tuple(lines), str(per_week + more))


@reads("year")
def is_leap_year(year: int) -> Working | None:
    """Divisible by four, but of the centuries only those divisible by 400."""
    number = year // 100 if year % 100 == 0 else year % 100
    lines = [f"{year} is a century: {number}" if year % 100 == 0 else f"{year} is no century: {number}"]
    lines.append(f"{number}=4*{number // 4}+{number % 4}")
    answer = "Yes" if number % 4 == 0 else "No"
    return Working((*lines, f"rest {number % 4}: {answer}"), answer)


_KINDS: Mapping[str, WorkOut] = {
    "weekday_offset": weekday_offset,
    "weekday_of_date": weekday_of_date,
    "weekday_of_date_from_first_date": weekday_from_first_date,
    "recurring_event_day": recurring_event_day,
    "count_days": count_days,
    "count_business_days": count_business_days,
    "is_leap_year": is_leap_year,
}
