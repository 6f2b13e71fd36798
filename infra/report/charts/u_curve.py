"""How the choice of mode moved in RL: rollouts by mode above, accuracy within each mode below, and what the guard did.

metrics (or, where they lack the counts, rollouts) + guard_events -> one chart of two panels
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from infra.report.charts.figures import (
    COLORS,
    INK,
    MUTED,
    Chart,
    EndLabel,
    draw,
    label_ends,
    missing_chart,
    percent_axis,
)
from infra.report.charts.line_charts import Line, described, moving_end, moving_mean, value_axis, window
from infra.report.data.evidence_rows import RolloutCount, Series
from schemas.records.guard_events import GuardEvent

NAME, TITLE = "u-curve", "Rollouts and accuracy of each mode"

_COUNTS = {
    "think": (("free_think_count", "think_count"), COLORS["think"], "-"),
    "short": (("free_short_count", "short_count"), COLORS["short"], "--"),
}
_ACCURACIES = (
    Line("think_accuracy", "think", COLORS["think"]),
    Line("short_accuracy", "short", COLORS["short"], "--"),
)


class Turn(NamedTuple):
    """Where a curve leaves the straight line between its ends most."""

    first: float
    step: int
    value: float
    last: float


def u_curve_chart(metrics: Mapping[str, Series], counts: Sequence[RolloutCount], events: Sequence[GuardEvent]) -> Chart:
    """Rollouts per step by mode, with accuracy by mode below; forced ones are not counted where that is known."""
    series, free = _counts(metrics, counts)
    if not series:
        return missing_chart(NAME, TITLE, "Nothing to draw: the metrics and rollouts hold no counts of either mode.")
    lower = [line for line in _ACCURACIES if metrics.get(line.metric)]
    lines = [Line(mode, mode, color, style) for mode, (_, color, style) in _COUNTS.items() if series.get(mode)]
    malformed = tuple((c.step, float(c.malformed)) for c in counts)
    if any(value for _, value in malformed):
        series["malformed"] = malformed
        lines.append(Line("malformed", "malformed", INK, ":"))

    def plot_counts(axes: Any) -> None:
        _plot(axes, lines, series, events)
        value_axis(axes, [0.0, *(v for line in lines for _, v in series[line.metric])])
        axes.set_title("rollouts per step" + (", forced ones left out" if free else ""))
        turn = turn_of(series[lines[0].metric])
        if turn is not None:
            axes.plot(turn.step, turn.value, marker="o", markersize=5, color=COLORS[lines[0].label])
        label_ends(axes, [_end(series[line.metric], line) for line in lines])

    def plot_accuracy(axes: Any) -> None:
        _plot(axes, lower, metrics, events)
        percent_axis(axes)
        axes.set_title("accuracy within the mode")
        label_ends(axes, [_end(metrics[line.metric], line) for line in lower])

    svg = draw(
        NAME,
        plot_counts,
        lower=plot_accuracy if lower else None,
        title=TITLE,
        description=described(lines, series) + (" Accuracy: " + described(lower, metrics) if lower else ""),
        right=round(20 + 6.3 * max(len(line.label) for line in lines)),
        height=420 if lower else 236,
    )
    return Chart(NAME, TITLE, " ".join(_caption(series, lines, lower, events)), svg, tall=bool(lower))


def turn_of(series: Series) -> Turn | None:
    """The turning point of a smoothed curve; None for fewer than five steps."""
    if len(series) < 5:
        return None
    steps = [step for step, _ in series]
    values = moving_mean([value for _, value in series], window(series))
    slope = (values[-1] - values[0]) / (steps[-1] - steps[0])
    away = [abs(v - values[0] - slope * (s - steps[0])) for s, v in zip(steps, values, strict=True)]
    at = away.index(max(away))
    return Turn(values[0], steps[at], values[at], values[-1])


def _counts(metrics: Mapping[str, Series], counts: Sequence[RolloutCount]) -> tuple[dict[str, Series], bool]:
    """Series by mode, and whether forced rollouts are left out of them and there were any."""
    series: dict[str, Series] = {}
    for mode, (names, _, _) in _COUNTS.items():
        name = next((name for name in names if metrics.get(name)), None)
        if name is not None:
            series[mode] = metrics[name]
        elif counts:
            series[mode] = tuple((c.step, float(getattr(c, mode))) for c in counts)
    free = any(
        metrics.get(names[0]) and metrics.get(names[1]) and metrics[names[0]] != metrics[names[1]]
        for names, _, _ in _COUNTS.values()
    )
    return series, free


def _plot(axes: Any, lines: Sequence[Line], data: Mapping[str, Series], events: Sequence[GuardEvent]) -> None:
    last = max(data[line.metric][-1][0] for line in lines)
    for line in lines:
        steps, values = [s for s, _ in data[line.metric]], [v for _, v in data[line.metric]]
        smooth = moving_mean(values, window(data[line.metric]))
        if smooth != values:
            axes.plot(steps, values, color=line.color, alpha=0.28, linewidth=0.9)
        axes.plot(steps, smooth, color=line.color, linestyle=line.style, marker="o" if len(values) < 3 else None)
    for event in events:
        axes.axvline(event.step, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
    for start, end in forced_spans(events, last=last):
        axes.axvspan(start, end, color=MUTED, alpha=0.16, linewidth=0)
    axes.set_xlabel("step")
    axes.margins(x=0.01)
    axes.locator_params(axis="x", nbins=6, integer=True)


def forced_spans(events: Sequence[GuardEvent], *, last: int) -> list[tuple[int, int]]:
    """Steps between the guard's `force` and its `release`, or the last step if it never released."""
    spans, start = [], None
    for event in events:
        if event.action == "force" and start is None:
            start = event.step
        elif event.action == "release" and start is not None:
            spans.append((start, event.step))
            start = None
    return spans if start is None else [*spans, (start, max(last, start))]


def _end(series: Series, line: Line) -> EndLabel:
    return EndLabel(moving_end(series, markers=False), line.label, line.color)


def _caption(
    series: Mapping[str, Series], lines: Sequence[Line], lower: Sequence[Line], events: Sequence[GuardEvent]
) -> list[str]:
    notes = []
    turn = turn_of(series[lines[0].metric])
    if turn is not None:
        notes.append(
            f"{lines[0].label.capitalize()} rollouts per step: {turn.first:.0f} at the start, {turn.value:.0f} at step "
            f"{turn.step}, {turn.last:.0f} at the end. The dot marks the step at which the curve bends most."
        )
    notes.append("One mode near zero early on, and staying there, is a collapse.")
    if lower:
        notes.append("Short accuracy rises when hard problems move to thinking.")
    else:
        notes.append("Not logged: think_accuracy, short_accuracy.")
    if events:
        notes.append("Dotted: the guard acted; grey: it forced rollouts into the rare mode.")
    return notes
