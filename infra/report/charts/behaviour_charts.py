"""Pictures of what the trained model does: when it thinks, whether it should, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from infra.report.charts.figures import (
    COLORS,
    INK,
    MARKERS,
    Chart,
    EndLabel,
    draw,
    label_ends,
    missing_chart,
    percent_axis,
)
from infra.report.charts.task_charts import task_chart
from infra.report.data.evidence import Evidence
from infra.report.data.evidence_rows import AccuracyByDifficulty, ThinkByDifficulty
from infra.report.data.wording import percent

Row = TypeVar("Row", ThinkByDifficulty, AccuracyByDifficulty)

NAMES = {"base": "base", "sft": "warm-up", "rl": "RL"}
COMPARED = ("sft", "rl")
"""Models before and after RL."""


def difficulty_charts(evidence: Evidence) -> tuple[Chart, ...]:
    """P(think) and forced short accuracy by difficulty, before and after RL, and the spread of P(think).

    Problems with a task come by task and level instead; if all have one, there is no picture by difficulty.
    """
    by_task = (task_chart(evidence),) if evidence.task_levels else ()
    by_difficulty: tuple[Chart, ...] = ()
    if evidence.p_think or evidence.accuracy or not by_task:
        by_difficulty = (_think_by_difficulty(evidence), _short_by_difficulty(evidence))
    return (*by_task, *by_difficulty, _histogram(evidence))


def _think_by_difficulty(evidence: Evidence) -> Chart:
    name, title = "p-think", "P(think) by difficulty"
    rows = [row for row in evidence.p_think if row.model in COMPARED]
    if not rows:
        return missing_chart(name, title, "Nothing to draw: no evaluated problem has a difficulty.")
    groups = _by_model(rows)

    def plot(axes: Any) -> None:
        for model, points in groups.items():
            shift = 0.06 if model == "rl" else -0.06
            x = [p.difficulty + shift for p in points]
            axes.vlines(x, [p.low for p in points], [p.high for p in points], color=COLORS[model], alpha=0.45, lw=4)
            _model_line(axes, model, x, [p.mean for p in points])
        _difficulty_axis(axes, sorted({row.difficulty for row in rows}), "P(think)")
        label_ends(axes, [EndLabel(p[-1].mean, NAMES[m], COLORS[m]) for m, p in groups.items()])

    about = [
        f"{NAMES[model]}: " + ", ".join(f"{percent(p.mean)} at difficulty {p.difficulty}" for p in points)
        for model, points in groups.items()
    ]
    svg = draw(name, plot, title=title, description="; ".join(about) + ".", right=76)
    return Chart(name, title, "Mean over held-out problems; bars from the 10th to the 90th percentile.", svg)


def _short_by_difficulty(evidence: Evidence) -> Chart:
    name, title = "short-accuracy", "Is a short answer enough?"
    rows = [row for row in evidence.accuracy if row.model in COMPARED and row.mode == "short"]
    if not rows:
        return missing_chart(name, title, "Nothing to draw: no forced short completion of a problem with a difficulty.")
    groups = _by_model(rows)

    def plot(axes: Any) -> None:
        for model, points in groups.items():
            x = [p.difficulty + (0.06 if model == "rl" else -0.06) for p in points]
            y = [p.accuracy for p in points]
            axes.errorbar(x, y, yerr=[p.stderr for p in points], color=COLORS[model], fmt="none", lw=1.4, capsize=3)
            _model_line(axes, model, x, y)
        _difficulty_axis(axes, sorted({row.difficulty for row in rows}), "accuracy, forced short")
        label_ends(axes, [EndLabel(p[-1].accuracy, NAMES[m], COLORS[m]) for m, p in groups.items()])

    about = [
        f"{NAMES[model]}: " + ", ".join(f"{percent(p.accuracy)} at difficulty {p.difficulty}" for p in points)
        for model, points in groups.items()
    ]
    svg = draw(name, plot, title=title, description="; ".join(about) + ".", right=76)
    caption = "Where this is high, P(think) should be low. Bars: one standard error over problems."
    return Chart(name, title, caption, svg)


def _histogram(evidence: Evidence) -> Chart:
    name, title = "p-think-spread", "Spread of P(think)"
    groups = {model: evidence.histogram[model] for model in COMPARED if evidence.histogram.get(model)}
    if not groups:
        return missing_chart(name, title, "Nothing to draw: no completion carries P(think).")
    totals = {model: sum(bins.values()) for model, bins in groups.items()}

    def plot(axes: Any) -> None:
        edges = [index / 20 for index in range(21)]
        for model, bins in groups.items():
            shares = [bins.get(index, 0) / totals[model] for index in range(20)]
            axes.stairs(shares, edges, color=COLORS[model], fill=True, alpha=0.16)
            axes.stairs(shares, edges, color=COLORS[model], lw=1.8, linestyle="-" if model == "rl" else "--")
        top = max(bins.get(i, 0) / totals[m] for m, bins in groups.items() for i in range(20))
        axes.set_ylim(0, top * 1.25)
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}%")
        percent_axis(axes, x=True)
        axes.set_xlabel("P(think)")
        axes.set_title("share of problems")
        for row, model in enumerate(groups):
            mark = "solid" if model == "rl" else "dashed"
            axes.annotate(
                f"{NAMES[model]} ({mark})",
                xy=(0.5, 0.97 - 0.1 * row),
                xycoords="axes fraction",
                ha="center",
                va="top",
                color=COLORS[model],
            )

    about = [
        f"{NAMES[m]}: {percent(sum(c for i, c in bins.items() if i < 10) / totals[m])} of problems below 50%"
        for m, bins in groups.items()
    ]
    svg = draw(name, plot, title=title, description="; ".join(about) + ".", right=18)
    caption = "Two peaks at the ends: a settled choice per problem. One peak: one habit for all."
    return Chart(name, title, caption, svg)


def _by_model(rows: Sequence[Row]) -> dict[str, list[Row]]:
    groups = {model: [row for row in rows if row.model == model] for model in COMPARED}
    return {model: members for model, members in groups.items() if members}


def _model_line(axes: Any, model: str, x: Sequence[float], y: Sequence[float]) -> None:
    style = "-" if model == "rl" else "--"
    axes.plot(x, y, color=COLORS[model], linestyle=style, marker=MARKERS[model], markersize=5)


def _difficulty_axis(axes: Any, difficulties: Sequence[int], y_label: str) -> None:
    axes.set_xticks(difficulties)
    axes.set_xlim(min(difficulties) - 0.35, max(difficulties) + 0.25)
    axes.set_xlabel("difficulty")
    axes.set_title(y_label)
    axes.grid(visible=False, axis="x")
    axes.axhline(0.5, color=INK, linewidth=0.6, alpha=0.4)
    percent_axis(axes)
