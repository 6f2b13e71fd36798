"""Metrics over steps as lines, each with its name at its end; without data, a sentence that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from infra.report.charts.figures import Chart, EndLabel, LineStyle, draw, label_ends, missing_chart, percent_axis
from infra.report.data.evidence_rows import Series
from infra.report.data.wording import accuracy

SMOOTH_FROM = 40
"""Shortest series drawn with a moving mean on top."""


class Line(NamedTuple):
    """One metric as one line."""

    metric: str
    label: str
    color: str
    style: LineStyle = "-"


def line_chart(
    name: str,
    title: str,
    caption: str,
    lines: Sequence[Line],
    data: Mapping[str, Series],
    *,
    y_label: str,
    shares: bool = False,
    markers: bool = False,
    source: str = "metrics",
) -> Chart:
    """Metrics over steps; those that were not logged are named in the caption, and if all were not, instead of it."""
    present = [line for line in lines if data.get(line.metric)]
    absent = ", ".join(line.metric for line in lines if not data.get(line.metric))
    if not present:
        return missing_chart(name, title, f"Nothing to draw: the {source} hold no {absent}.")

    def plot(axes: Any) -> None:
        for line in present:
            steps = [step for step, _ in data[line.metric]]
            values = [value for _, value in data[line.metric]]
            smooth = moving_mean(values, window(data[line.metric]) if not markers else 1)
            if smooth != values:
                axes.plot(steps, values, color=line.color, alpha=0.28, linewidth=0.9)
            dot = "o" if markers or len(values) < 3 else None
            axes.plot(steps, smooth, color=line.color, linestyle=line.style, marker=dot, markersize=3.2)
        axes.set_xlabel("step")
        axes.set_title(y_label)
        axes.margins(x=0.01)
        axes.locator_params(axis="x", nbins=6, integer=True)
        if shares:
            percent_axis(axes)
        else:
            value_axis(axes, [v for line in present for _, v in data[line.metric]])
        ends = [EndLabel(moving_end(data[line.metric], markers=markers), line.label, line.color) for line in present]
        label_ends(axes, ends)

    notes = [caption]
    if absent:
        notes.append(f"Not logged: {absent}.")
    widest = max(len(line.label) for line in present)
    svg = draw(name, plot, title=title, description=described(present, data), right=round(20 + 6.3 * widest))
    return Chart(name, title, " ".join(notes), svg)


def value_axis(axes: Any, values: Sequence[float]) -> None:
    """Logarithmic where positive values span more than a factor of 30, else linear from zero."""
    if min(values) > 0 and max(values) / min(values) > 30:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(lambda _value, _: "")
        return
    low, high = min(0.0, min(values)), max(values)
    room = 0.04 * ((high - low) or 1.0)
    axes.set_ylim(low - room if low < 0 else 0 - room / 2, high + room)


def window(series: Series) -> int:
    """Steps in the moving mean: an odd 4% of the series, 1 for a short one."""
    return 1 if len(series) < SMOOTH_FROM else 2 * (len(series) // 50) + 1


def moving_mean(values: Sequence[float], window: int) -> list[float]:
    """Centred mean; near the ends over the part of the window that exists."""
    half = window // 2
    means = []
    for index in range(len(values)):
        part = values[max(index - half, 0) : index + half + 1]
        means.append(sum(part) / len(part))
    return means


def moving_end(series: Series, *, markers: bool) -> float:
    """Where the line that is drawn ends: smoothed, unless its points are marked."""
    values = [value for _, value in series]
    return moving_mean(values, 1 if markers else window(series))[-1]


def described(lines: Sequence[Line], data: Mapping[str, Series]) -> str:
    """The picture in words: where each line starts and ends."""
    parts = []
    for line in lines:
        (first_step, first), (last_step, last) = data[line.metric][0], data[line.metric][-1]
        parts.append(f"{line.label}: {accuracy(first)} at step {first_step}, {accuracy(last)} at step {last_step}")
    return "; ".join(parts) + "."
