"""Pictures of a study: how each condition's choice of mode moved, seed by seed, and what a swept setting did to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from infra.report.charts.figures import COLORS, RAMP, Chart, EndLabel, draw, label_ends, percent_axis
from infra.report.charts.line_charts import moving_mean, window
from infra.report.charts.u_curve import turn_of
from infra.report.data.study_evidence import StudyEvidence, Sweep, SweepPoint, drawn_interval, final_value, mean_series
from infra.report.data.wording import accuracy, counted, percent

_COUNTS = {"think": ("free_think_count", "think_count"), "short": ("free_short_count", "short_count")}


def condition_charts(evidence: StudyEvidence, *, prefix: str) -> tuple[Chart, ...]:
    """One chart per condition with counts: think rollouts by seed and their mean, and below it accuracy by mode.

    All conditions share the scale of the counts, so that they can be compared by eye.
    """
    counted = [(c, name) for c in evidence.conditions if (name := _count_name(evidence, c, "think")) is not None]
    top = max(
        (
            value
            for condition, _ in counted
            for mode in _COUNTS
            if (name := _count_name(evidence, condition, mode)) is not None
            for series in evidence.curves[condition, name].values()
            for value in _smooth(series)[1]
        ),
        default=1.0,
    )
    return tuple(
        _condition_chart(evidence, condition, name, top=top, identifier=f"{prefix}-counts-{index}")
        for index, (condition, name) in enumerate(counted)
    )


def _condition_chart(evidence: StudyEvidence, condition: str, name: str, *, top: float, identifier: str) -> Chart:
    by_seed = evidence.curves[condition, name]
    short = _count_name(evidence, condition, "short")
    accuracies = [
        (mode, mean_series(evidence.curves[condition, f"{mode}_accuracy"]))
        for mode in ("think", "short")
        if (condition, f"{mode}_accuracy") in evidence.curves
    ]
    mean = mean_series(by_seed)

    def counts(axes: Any) -> None:
        for series in by_seed.values():
            axes.plot(*_smooth(series), color=COLORS["think"], linewidth=0.8, alpha=0.45)
        ends = [_line(axes, mean, "think")]
        if short is not None:
            ends.append(_line(axes, mean_series(evidence.curves[condition, short]), "short"))
        axes.set_ylim(-0.03 * top, 1.05 * top)
        axes.set_title("rollouts per step")
        _step_axis(axes)
        label_ends(axes, ends)

    def modes(axes: Any) -> None:
        ends = [_line(axes, series, mode) for mode, series in accuracies if _smooth(series)[1]]
        percent_axis(axes)
        axes.set_title("accuracy within the mode, mean")
        _step_axis(axes)
        label_ends(axes, ends)

    turn = turn_of(mean)
    about = counted(len(by_seed), "seed")
    if turn is not None:
        about += (
            f"; think rollouts per step, on average: {turn.first:.0f} at the start, {turn.value:.0f} at step "
            f"{turn.step}, {turn.last:.0f} at the end"
        )
    ends = [final_value(series) for series in by_seed.values()]
    about += f"; its seeds end between {min(ends):.0f} and {max(ends):.0f}."
    svg = draw(
        identifier,
        counts,
        lower=modes if accuracies else None,
        title=f"Rollouts by mode, {condition}",
        description=about,
        right=52,
        height=380 if accuracies else 236,
    )
    return Chart(identifier, condition, about[0].upper() + about[1:], svg, tall=bool(accuracies))


def sweep_charts(evidence: StudyEvidence, sweep: Sweep, *, prefix: str) -> tuple[Chart, ...]:
    """What a setting does: where P(think) ends by task and level, and how the think share got there."""
    probes = evidence.probes or evidence.metrics("think_share")
    charts = []
    lines = [(name, _finals(evidence, sweep, name)) for name in probes]
    lines = [(name, points) for name, points in lines if len(points) > 1]
    if lines:
        charts.append(_final_chart(sweep, lines, identifier=f"{prefix}-final"))
    moving = [
        (p.label, evidence.curves[p.condition, "think_share"])
        for p in sweep.points
        if (p.condition, "think_share") in evidence.curves
    ]
    if len(moving) > 1:
        charts.append(_moving_chart(sweep, moving, identifier=f"{prefix}-moving"))
    return tuple(charts)


class Final(NamedTuple):
    """Where a metric ends under one value of a setting, over seeds."""

    point: SweepPoint
    mean: float
    low: float
    high: float


def _finals(evidence: StudyEvidence, sweep: Sweep, name: str) -> list[Final]:
    finals = []
    for point in sweep.points:
        by_seed = evidence.curves.get((point.condition, name))
        if by_seed:
            found = drawn_interval([final_value(series) for series in by_seed.values()])
            finals.append(Final(point, found.estimate, max(found.low, 0.0), min(found.high, 1.0)))
    return finals


def _final_chart(sweep: Sweep, lines: Sequence[tuple[str, list[Final]]], *, identifier: str) -> Chart:
    title = f"{sweep.setting}: where the choice ends"
    colors = _ramp(len(lines))
    names = [_line_name(name) for name, _ in lines]

    def plot(axes: Any) -> None:
        places = _value_axis(axes, sweep)
        for (_, points), color in zip(lines, colors, strict=True):
            x = [places[p.point.label] for p in points]
            errors = [[p.mean - p.low for p in points], [p.high - p.mean for p in points]]
            axes.errorbar(x, [p.mean for p in points], yerr=errors, color=color, lw=1.2, capsize=2.5, fmt="o", ms=4)
            swept = [p for p in points if p.point.value is not None]
            axes.plot([places[p.point.label] for p in swept], [p.mean for p in swept], color=color)
        percent_axis(axes)
        axes.set_title("think share at the end" if names == ["all"] else "P(think) at the end")
        label_ends(axes, [EndLabel(p[-1].mean, n, c) for (_, p), n, c in zip(lines, names, colors, strict=True)])

    about = "; ".join(
        f"{name}: " + ", ".join(f"{percent(p.mean)} at {p.point.label}" for p in points)
        for name, (_, points) in zip(names, lines, strict=True)
    )
    svg = draw(identifier, plot, title=title, description=about + ".", right=round(22 + 6.3 * max(map(len, names))))
    caption = (
        "Mean over seeds with its 95% interval, on the fixed probe problems, by level (of a task if they have one)."
    )
    if names == ["all"]:
        caption = "Mean over seeds with its 95% interval, over the last tenth of the steps."
    if any(p.value is None for p in sweep.points):
        caption += " The profile's own value stands apart, because the study does not name it."
    return Chart(identifier, title, caption, svg)


def _line_name(metric: str) -> str:
    """`level 2`, or `sort 2` for a level of a task."""
    words = metric.removeprefix("probe_p_think/").replace("difficulty_", "level ").removeprefix("task_")
    return words.replace(":", " ").replace("think_share", "all")


def _moving_chart(sweep: Sweep, moving: Sequence[tuple[str, Any]], *, identifier: str) -> Chart:
    title = f"{sweep.setting}: how it got there"
    colors = _ramp(len(moving))

    def plot(axes: Any) -> None:
        ends = []
        for (label, by_seed), color in zip(moving, colors, strict=True):
            for series in by_seed.values():
                axes.plot(*_smooth(series), color=color, linewidth=0.7, alpha=0.35)
            steps, values = _smooth(mean_series(by_seed))
            if values:
                axes.plot(steps, values, color=color)
                ends.append(EndLabel(values[-1], label, color))
        percent_axis(axes)
        axes.set_title("think share of rollouts")
        _step_axis(axes)
        label_ends(axes, ends)

    about = "; ".join(f"{label}: ends at {accuracy(final_value(mean_series(s)))}" for label, s in moving) + "."
    svg = draw(identifier, plot, title=title, description=about, right=64)
    return Chart(identifier, title, "Thin: one seed; thick: their mean.", svg)


def _line(axes: Any, series: Any, mode: str) -> EndLabel:
    steps, values = _smooth(series)
    axes.plot(steps, values, color=COLORS[mode], linestyle="-" if mode == "think" else "--")
    return EndLabel(values[-1], mode, COLORS[mode])


def _count_name(evidence: StudyEvidence, condition: str, mode: str) -> str | None:
    return next((name for name in _COUNTS[mode] if (condition, name) in evidence.curves), None)


def _smooth(series: Any) -> tuple[list[int], list[float]]:
    return [step for step, _ in series], moving_mean([value for _, value in series], window(series))


def _step_axis(axes: Any) -> None:
    axes.set_xlabel("step")
    axes.margins(x=0.01)
    axes.locator_params(axis="x", nbins=6, integer=True)


def _value_axis(axes: Any, sweep: Sweep) -> dict[str, float]:
    """The values themselves as ticks, and the profile's beside them; returns label -> place.

    Logarithmic where the values differ by more than a factor of 8.
    """
    values = [p.value for p in sweep.points if p.value is not None]
    low, high = values[0], values[-1]
    logarithmic = low > 0 and high / low > 8
    beside = high * (high / low) ** 0.3 if logarithmic else high + 0.3 * ((high - low) or abs(high) or 1.0)
    places = {p.label: beside if p.value is None else p.value for p in sweep.points}
    if logarithmic:
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xticks(list(places.values()), list(places))
    axes.minorticks_off()
    axes.set_xlabel(sweep.setting)
    return places


def _ramp(n: int) -> list[str]:
    """n colours from light to dark."""
    return [RAMP[math.floor(index * (len(RAMP) - 1) / max(n - 1, 1) + 0.5)] for index in range(n)]
