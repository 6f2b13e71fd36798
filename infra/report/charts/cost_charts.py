"""Pictures of what an answer costs: accuracy against mean tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from infra.report.charts.behaviour_charts import NAMES
from infra.report.charts.figures import COLORS, MARKERS, MUTED, PAPER, Chart, draw
from infra.report.charts.label_layout import Box, place_around
from infra.report.data.evidence import Evidence
from infra.report.data.wording import accuracy, tokens
from schemas.records.eval_summary import EvalSummary


def cost_chart(evidence: Evidence, benchmark: str, index: int) -> Chart:
    """Accuracy against mean tokens of every model and mode on one benchmark."""
    cells = [cell for cell in evidence.cells if cell.benchmark == benchmark]
    name, title = f"cost-{index}", benchmark
    chance = _chosen_by_chance(evidence.cell(benchmark, "rl", "short"), evidence.cell(benchmark, "rl", "think"))
    lengths = [cell.mean_tokens for cell in cells]

    def plot(axes: Any) -> None:
        token_axis(axes, lengths)
        axes.set_ylim(-0.05, 1.08)
        percent_axis_ticks(axes)
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

    about = "; ".join(
        f"{NAMES.get(c.model, c.model)} {c.mode.value}: {accuracy(c.accuracy)} at {tokens(c.mean_tokens)} tokens"
        for c in cells
    )
    return Chart(
        name,
        title,
        "",
        draw(name, plot, title=f"Accuracy against mean tokens, {title}", description=about + ".", height=300),
    )


def token_axis(axes: Any, lengths: Sequence[float]) -> None:
    """Mean tokens to the right, with room at both ends; logarithmic where they differ by more than a factor of 8."""
    low, high = min(lengths), max(lengths)
    if low > 0 and high / low > 8:
        axes.set_xscale("log")
        low, high = low / 1.6, high * 1.6
        ticks = [t * 10**power for power in range(-1, 8) for t in (1, 2, 5) if low <= t * 10**power <= high]
        axes.minorticks_off()
        axes.set_xticks(ticks, [f"{tick:,.12g}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlim(low, high)
        axes.set_xlabel("mean tokens, logarithmic")
        return
    room = max(0.12 * (high - low), 0.15 * high, 0.5)
    axes.set_xlim(max(low - room, 0), high + room)
    axes.set_xlabel("mean tokens")


def percent_floor(lowest: float) -> float:
    """Lower end of an axis of accuracies with this lowest value: 0, 40, 70 or 90%."""
    return next((floor for floor in (0.9, 0.7, 0.4) if lowest >= floor), 0.0)


def percent_axis_ticks(axes: Any, *, floor: float = 0.0) -> None:
    """Percent ticks down to the floor, which is one of `percent_floor`, without touching the limits."""
    step = {0.9: 2, 0.7: 5, 0.4: 10}.get(floor, 25)
    ticks = [tick / 100 for tick in range(100, round(100 * floor) - 1, -step)]
    axes.set_yticks(ticks, [f"{100 * tick:.0f}%" for tick in ticks])


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
