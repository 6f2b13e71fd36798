"""Pictures of what the trained model does: when it thinks, whether it should, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from infra.report.evidence import AccuracyByDifficulty, Evidence, ThinkByDifficulty
from infra.report.figures import (
    COLORS,
    INK,
    MARKERS,
    MUTED,
    PAPER,
    Chart,
    EndLabel,
    draw,
    label_ends,
    missing_chart,
    percent_axis,
)
from infra.report.label_layout import Box, place_around
from infra.report.wording import accuracy, percent, tokens
from schemas.records import EvalSummary

Row = TypeVar("Row", ThinkByDifficulty, AccuracyByDifficulty)

NAMES = {"base": "base", "sft": "warm-up", "rl": "RL"}
COMPARED = ("sft", "rl")
"""Models before and after RL."""


def difficulty_charts(evidence: Evidence) -> tuple[Chart, ...]:
    """P(think) and forced short accuracy by difficulty, before and after RL, and the spread of P(think)."""
    return (_think_by_difficulty(evidence), _short_by_difficulty(evidence), _histogram(evidence))


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

    said = [
        f"{NAMES[model]}: " + ", ".join(f"{percent(p.mean)} at difficulty {p.difficulty}" for p in points)
        for model, points in groups.items()
    ]
    svg = draw(name, plot, title=title, description="; ".join(said) + ".", right=76)
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

    said = [
        f"{NAMES[model]}: " + ", ".join(f"{percent(p.accuracy)} at difficulty {p.difficulty}" for p in points)
        for model, points in groups.items()
    ]
    svg = draw(name, plot, title=title, description="; ".join(said) + ".", right=76)
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

    said = [
        f"{NAMES[m]}: {percent(sum(c for i, c in bins.items() if i < 10) / totals[m])} of problems below 50%"
        for m, bins in groups.items()
    ]
    svg = draw(name, plot, title=title, description="; ".join(said) + ".", right=18)
    caption = "Two peaks at the ends: a settled choice per problem. One peak: one habit for all."
    return Chart(name, title, caption, svg)


def cost_chart(evidence: Evidence, benchmark: str, index: int) -> Chart:
    """Accuracy against mean tokens of every model and mode on one benchmark."""
    cells = [cell for cell in evidence.cells if cell.benchmark == benchmark]
    name, title = f"cost-{index}", benchmark
    chance = _chosen_by_chance(evidence.cell(benchmark, "rl", "short"), evidence.cell(benchmark, "rl", "think"))
    lengths = [cell.mean_tokens for cell in cells]
    logarithmic = min(lengths) > 0 and max(lengths) / min(lengths) > 8

    def plot(axes: Any) -> None:
        if logarithmic:
            axes.set_xscale("log")
            low, high = min(lengths) / 1.6, max(lengths) * 1.6
            ticks = [t * 10**power for power in range(-1, 8) for t in (1, 2, 5) if low <= t * 10**power <= high]
            axes.minorticks_off()
            axes.set_xticks(ticks, [f"{tick:,.12g}" for tick in ticks])
            axes.minorticks_off()
            axes.set_xlim(low, high)
        else:
            room = 0.12 * ((max(lengths) - min(lengths)) or 1.0)
            axes.set_xlim(max(min(lengths) - room, 0), max(lengths) + room)
        axes.set_ylim(-0.05, 1.08)
        percent_axis_ticks(axes)
        axes.set_xlabel("mean tokens" + (", logarithmic" if logarithmic else ""))
        axes.set_title("accuracy")
        axes.plot([x for x, _ in chance], [y for _, y in chance], color=MUTED, linestyle=(0, (1, 2)), lw=1.2)
        for cell in cells:
            color = COLORS[cell.mode.value]
            axes.errorbar(cell.mean_tokens, cell.accuracy, yerr=cell.accuracy_stderr, color=color, lw=1.2, capsize=2.5)
            axes.plot(
                cell.mean_tokens,
                cell.accuracy,
                marker=MARKERS.get(cell.model, "x"),
                markersize=8 if cell.model == "rl" else 6.5,
                color=color,
                markerfacecolor=color if cell.model == "rl" else PAPER,
                markeredgewidth=1.6,
            )
        _label_points(axes, cells, chance)

    said = "; ".join(
        f"{NAMES.get(c.model, c.model)} {c.mode.value}: {accuracy(c.accuracy)} at {tokens(c.mean_tokens)} tokens"
        for c in cells
    )
    return Chart(
        name,
        title,
        "",
        draw(name, plot, title=f"Accuracy against mean tokens, {title}", description=said + ".", height=300),
    )


def percent_axis_ticks(axes: Any) -> None:
    """Percent ticks without touching the limits."""
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])


def _chosen_by_chance(short: EvalSummary | None, think: EvalSummary | None) -> list[tuple[float, float]]:
    """(mean tokens, accuracy) if the mode is drawn by chance, from always short to always think."""
    if short is None or think is None:
        return []
    return [
        (
            share * think.mean_tokens + (1 - share) * short.mean_tokens,
            share * think.accuracy + (1 - share) * short.accuracy,
        )
        for share in (step / 60 for step in range(61))
    ]


def _label_points(axes: Any, cells: Sequence[EvalSummary], line: Sequence[tuple[float, float]]) -> None:
    """`RL auto` beside its point, with a thin line to it where it had to go further away."""
    points = [tuple(map(float, axes.transData.transform((c.mean_tokens, c.accuracy)))) for c in cells]
    texts = [f"{NAMES.get(c.model, c.model)} {c.mode.value}" for c in cells]
    extent = axes.get_window_extent()
    path = [axes.transData.transform(point) for point in line]
    bars = [Box(float(x) - 2, float(y) - 2, float(x) + 2, float(y) + 2) for x, y in path]
    for cell, (x, _) in zip(cells, points, strict=True):
        low, high = (
            float(axes.transData.transform((cell.mean_tokens, cell.accuracy + sign * cell.accuracy_stderr))[1])
            for sign in (-1, 1)
        )
        bars.append(Box(x - 2, low, x + 2, high))
    centres = place_around(
        [(p[0], p[1]) for p in points],
        [(6.1 * len(text) + 2, 13.0) for text in texts],
        frame=Box(extent.x0 + 2, extent.y0 + 2, extent.x1 + 8, extent.y1 + 4),
        obstacles=bars,
    )
    for cell, text, (x, y), centre in zip(cells, texts, points, centres, strict=True):
        axes.annotate(
            text,
            xy=(cell.mean_tokens, cell.accuracy),
            xytext=(centre[0] - x, centre[1] - y),
            textcoords="offset pixels",
            ha="center",
            va="center",
            color=COLORS[cell.mode.value],
            fontweight="bold" if cell.model == "rl" else "normal",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": COLORS[cell.mode.value],
                "lw": 0.7,
                "alpha": 0.7,
                "shrinkA": 0,
                "shrinkB": 4,
            },
        )


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
