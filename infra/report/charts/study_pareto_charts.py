"""Conditions of a study side by side: accuracy over tokens, as they are and as a bias on the think logit sweeps.

study_pareto -> mean and 95% interval over seeds at every bias -> one picture per benchmark
"""

from __future__ import annotations

from typing import Any

from infra.report.charts.cost_charts import percent_axis_ticks, percent_floor, token_axis
from infra.report.charts.figures import INK, SERIES, SERIES_MARKERS, SERIES_STYLES, Chart, draw
from infra.report.data.study_evidence import StudyEvidence, drawn_interval
from infra.report.data.wording import accuracy, tokens
from thinkless_core.statistics.intervals import Interval

Point = tuple[Interval, Interval]
"""Mean tokens and accuracy over seeds."""

_LEGEND_COLUMNS, _LEGEND_ROW = 2, 15


def objective_charts(evidence: StudyEvidence, *, prefix: str) -> tuple[Chart, ...]:
    """For every benchmark the curves of all conditions, then their points without a bias."""
    charts = []
    for index, benchmark in enumerate(evidence.benchmarks):
        curves = {c: _curve(evidence, c, benchmark) for c in evidence.conditions}
        curves = {condition: points for condition, points in curves.items() if points}
        charts.append(_curves_chart(evidence, benchmark, curves, identifier=f"{prefix}-pareto-{index}"))
        unbiased = {condition: points[0.0] for condition, points in curves.items() if 0.0 in points}
        if unbiased:
            charts.append(_points_chart(evidence, benchmark, unbiased, identifier=f"{prefix}-points-{index}"))
    return tuple(charts)


def _curve(evidence: StudyEvidence, condition: str, benchmark: str) -> dict[float, Point]:
    """Bias -> tokens and accuracy of one condition, biases rising."""
    rows = [p for p in evidence.pareto if (p.condition, p.benchmark) == (condition, benchmark)]
    points = {}
    for bias in sorted({row.think_bias for row in rows}):
        here = [row for row in rows if row.think_bias == bias]
        points[bias] = (drawn_interval([r.mean_tokens for r in here]), drawn_interval([r.accuracy for r in here]))
    return points


def _curves_chart(
    evidence: StudyEvidence, benchmark: str, curves: dict[str, dict[float, Point]], *, identifier: str
) -> Chart:
    def plot(axes: Any) -> None:
        _axes(axes, [point for points in curves.values() for point in points.values()])
        for condition, points in curves.items():
            color, style, marker = _look(evidence, condition)
            ordered = sorted(points.values(), key=lambda p: (p[0].estimate, p[1].estimate))
            x = [tokens_of.estimate for tokens_of, _ in ordered]
            low, high = [a.low for _, a in ordered], [min(a.high, 1.0) for _, a in ordered]
            axes.fill_between(x, low, high, color=color, alpha=0.1, linewidth=0)
            y = [a.estimate for _, a in ordered]
            axes.plot(x, y, color=color, linestyle=style, marker=marker, markersize=3, lw=1.5, label=condition)
        _legend(axes)

    about = [
        f"{condition}: " + ", ".join(f"{accuracy(a.estimate)} at {tokens(t.estimate)} tokens" for t, a in _some(points))
        for condition, points in curves.items()
    ]
    foot = _foot(len(curves))
    svg = draw(
        identifier,
        plot,
        title=f"Accuracy over tokens by condition, {benchmark}",
        description="; ".join(about) + ".",
        height=270 + foot,
        foot=foot,
    )
    caption = "A bias on the think logit sweeps; mean over seeds, shaded its 95% interval."
    return Chart(identifier, f"{benchmark}: what each could cost", caption, svg)


def _points_chart(evidence: StudyEvidence, benchmark: str, points: dict[str, Point], *, identifier: str) -> Chart:
    seeds = [p for p in evidence.pareto if p.benchmark == benchmark and p.think_bias == 0.0]

    def plot(axes: Any) -> None:
        around = [(drawn_interval([p.mean_tokens]), drawn_interval([p.accuracy])) for p in seeds]
        _axes(axes, [*points.values(), *around])
        for condition, (spent, right) in points.items():
            color, _, marker = _look(evidence, condition)
            own = [p for p in seeds if p.condition == condition]
            axes.plot(
                [p.mean_tokens for p in own],
                [p.accuracy for p in own],
                marker=marker,
                markersize=3.2,
                alpha=0.5,
                color=color,
                linestyle="none",
            )
            axes.errorbar(
                spent.estimate,
                right.estimate,
                xerr=spent.high - spent.estimate,
                yerr=[[right.estimate - max(right.low, 0.0)], [max(min(right.high, 1.0) - right.estimate, 0.0)]],
                color=color,
                lw=1.2,
                capsize=2.5,
                marker=marker,
                markersize=7.5,
                linestyle="none",
                label=condition,
            )
        _legend(axes)

    about = "; ".join(
        f"{condition}: {accuracy(right.estimate)} ± {accuracy(right.high - right.estimate)} at "
        f"{tokens(spent.estimate)} ± {tokens(spent.high - spent.estimate)} tokens"
        for condition, (spent, right) in points.items()
    )
    foot = _foot(len(points))
    svg = draw(
        identifier,
        plot,
        title=f"Accuracy and tokens by condition, {benchmark}",
        description=about + ".",
        height=270 + foot,
        foot=foot,
    )
    caption = "As trained, without a bias. Small: one seed; large: their mean with its 95% interval."
    return Chart(identifier, f"{benchmark}: what each does cost", caption, svg)


def _axes(axes: Any, points: list[Point]) -> None:
    token_axis(axes, [max(spent.estimate, 0.1) for spent, _ in points])
    low = min(right.low for _, right in points)
    floor = percent_floor(low)
    axes.set_ylim(floor - 0.05 * (1 - floor), 1.0 + 0.06 * (1 - floor))
    percent_axis_ticks(axes, floor=floor)
    axes.set_title("accuracy")


def _legend(axes: Any) -> None:
    """Names of the conditions in the room kept free below the axes."""
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        [handle[0] if isinstance(handle, tuple) else handle for handle in handles],
        [label if len(label) < 25 else f"{label[:23]}…" for label in labels],
        loc="lower left",
        bbox_to_anchor=(0.0, 0.0),
        bbox_transform=axes.figure.transFigure,
        ncols=_LEGEND_COLUMNS,
        frameon=False,
        borderaxespad=0.0,
        handlelength=2.4,
        labelspacing=0.25,
        labelcolor=INK,
    )


def _foot(num_labels: int) -> int:
    """Pixels the legend needs."""
    return 8 + _LEGEND_ROW * -(-num_labels // _LEGEND_COLUMNS)


def _some(points: dict[float, Point]) -> list[Point]:
    """A handful of the points, so that a description stays one."""
    return list(points.values())[:: max(len(points) // 6, 1)]


def _look(evidence: StudyEvidence, condition: str) -> tuple[str, Any, str]:
    """Colour, line and marker of a condition: the same in every picture of a study."""
    index = evidence.conditions.index(condition)
    turn = index // len(SERIES)
    return (
        SERIES[index % len(SERIES)],
        SERIES_STYLES[(index + turn) % len(SERIES_STYLES)],
        SERIES_MARKERS[(index + turn) % len(SERIES_MARKERS)],
    )
