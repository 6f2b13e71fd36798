"""Numbers as text in the report, the cards and the terminal: one rule each, so that they agree."""

from __future__ import annotations

import math
from datetime import UTC, datetime


def percent(share: float) -> str:
    """A share as percent: whole numbers, one decimal only where rounding would claim 0% or 100%."""
    value = 100 * share
    if 0 < value < 0.05:
        return "<0.1%"
    if 99.95 < value < 100:
        return ">99.9%"
    return f"{value:.1f}%" if 0 < value < 1 or 99 < value < 100 else f"{value:.0f}%"


def signed_percent(share: float) -> str:
    """A relative change as percent with its sign."""
    return f"{100 * share:+.0f}%"


def tokens(count: float) -> str:
    """A mean number of tokens: one decimal below 1000, thousands separated above."""
    return f"{count:,.1f}" if count < 1000 else f"{count:,.0f}"


def accuracy(value: float | None) -> str:
    """An accuracy, three decimals; a dash if it was not measured."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.3f}"


def signed(value: float) -> str:
    """A difference of accuracies, three decimals with sign; never minus zero."""
    return f"{round(value, 3) + 0.0:+.3f}"


def count(value: int) -> str:
    """A whole number, thousands separated."""
    return f"{value:,}"


def counted(value: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: `1 row`, `2 rows`; `plural` if an s at the end is not all."""
    return f"{count(value)} {noun if value == 1 else plural or f'{noun}s'}"


def share(value: float) -> str:
    """An accuracy in a sentence: percent with one decimal."""
    return f"{100 * value:.1f}%"


def percent_points(difference: float) -> str:
    """A difference of two shares in points, without its unit."""
    return f"{100 * difference:.1f}"


def saved(tokens_saved: float) -> str:
    """The share of tokens saved, in a cell of a table."""
    if abs(tokens_saved) < 0.005:
        return "none"
    return f"{100 * abs(tokens_saved):.0f}%{'' if tokens_saved > 0 else ' more'}"


def asked(num_problems: int | None, num_samples: int | None) -> str:
    """How much was asked: `300 problems, 4 samples each`."""
    if num_problems is None:
        return ""
    problems = counted(num_problems, "problem")
    return problems if num_samples in (None, 1) else f"{problems}, {counted(num_samples or 0, 'sample')} each"


def seconds(value: float) -> str:
    """A duration."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def listing(parts: list[str]) -> str:
    """Parts as a list in a sentence: `a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def interval(low: float, high: float) -> str:
    """An interval; a dash if there is none, as of one seed."""
    return f"{measured(low)} to {measured(high)}" if math.isfinite(low) and math.isfinite(high) else "-"


def moment(created_at: str) -> str:
    """A time of ISO 8601 in UTC, to the minute: `2026-11-27 14:43 UTC`."""
    return f"{datetime.fromisoformat(created_at).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def measured(value: float) -> str:
    """Any measured number, three significant digits; `not measured` if it is not finite."""
    if not math.isfinite(value):
        return "not measured"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
