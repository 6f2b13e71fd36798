"""Pictures with one row per task and level: P(think) before and after RL beside forced short, and over RL steps.

Evidence, metrics of RL -> rows, the easiest on top -> Chart. More rows than fit become one row per task.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from infra.report.charts.figures import COLORS, INK, MARKERS, MUTED, PAPER, Chart, draw, missing_chart, percent_axis
from infra.report.data.evidence import Evidence
from infra.report.data.evidence_rows import Series, TaskLevel
from infra.report.data.task_tables import TaskMean, over_benchmarks
from infra.report.data.wording import percent

MOST_ROWS = 48
MOST_READINGS = 24
"""Columns of the picture over steps; of more readings, these many at equal distances."""
ROW = 17
"""Pixels from row to row."""
LONGEST_NAME = 24
_PROBE = re.compile(r"probe_p_think/task_(.+):([^:]+)")


class DotRow(NamedTuple):
    """One row of dots: P(think) of the warm-up and of the RL model, and the accuracy of a forced short answer."""

    name: str
    before: float | None
    after: float | None
    short: TaskMean | None


def task_chart(evidence: Evidence) -> Chart:
    """P(think) by task and level before and after RL, and how often a forced short answer is right."""
    name, title = "task-p-think", "P(think) by task and level"
    rows = _dot_rows(evidence.task_levels)
    if not rows:
        return missing_chart(name, title, "Nothing to draw: neither the warm-up nor the RL model was evaluated.")

    def plot(axes: Any) -> None:
        _row_axis(axes, [row.name for row in rows])
        percent_axis(axes, x=True)
        axes.set_xlim(-0.03, 1.03)
        axes.set_xlabel("P(think); share right if forced short")
        for place, row in enumerate(rows):
            if row.short is not None:
                low, high = (row.short.accuracy + sign * row.short.accuracy_stderr for sign in (-1, 1))
                axes.hlines(place, max(low, 0), min(high, 1), color=COLORS["short"], lw=4, alpha=0.35)
                axes.plot(row.short.accuracy, place, marker="|", markersize=11, mew=2.2, color=COLORS["short"])
            if row.before is not None and row.after is not None:
                axes.hlines(place, *sorted((row.before, row.after)), color=MUTED, lw=0.9)
            for model, value in (("sft", row.before), ("rl", row.after)):
                if value is not None:
                    fill = COLORS[model] if model == "rl" else PAPER
                    style = {"markersize": 5.5, "markerfacecolor": fill, "markeredgewidth": 1.5}
                    axes.plot(value, place, marker=MARKERS[model], color=COLORS[model], **style)
        _legend(axes, rows)

    svg = draw(
        name,
        plot,
        title=title,
        description=". ".join(map(_described, rows)) + ".",
        left=_left(row.name for row in rows),
        height=_height(len(rows)) + 14,
        top=40,
    )
    caption = (
        "Where a forced short answer is right, P(think) should be low, and high where it is wrong. The rows are sorted "
        "by the forced short answers; bar: one standard error over problems."
    )
    return Chart(name, title, caption, svg, tall=True)


def probe_task_chart(rl: Mapping[str, Series]) -> Chart | None:
    """P(think) on the probe problems over RL steps by task and level; None if their tasks were not logged."""
    kinds = {found.groups(): rl[name] for name in rl if rl[name] and (found := _PROBE.fullmatch(name))}
    if not kinds:
        return None
    if len(kinds) > MOST_ROWS:
        kinds = {(task, ""): _mean([s for (t, _), s in kinds.items() if t == task]) for task, _ in kinds}
    rows = sorted(
        ((_name(*kind), _spaced(series)) for kind, series in kinds.items()), key=lambda r: (r[1][-1][1], r[0])
    )

    def plot(axes: Any) -> None:
        _row_axis(axes, [name for name, _ in rows])
        axes.grid(visible=False)
        steps = sorted({step for _, series in rows for step, _ in series})
        ends = [*steps[1:], steps[-1] + (steps[-1] - steps[-2] if len(steps) > 1 else 1)]
        widths = {step: end - step for step, end in zip(steps, ends, strict=True)}
        for place, (_, series) in enumerate(rows):
            spans = [(step, widths[step]) for step, _ in series]
            axes.broken_barh(spans, (place - 0.44, 0.88), facecolors=[(COLORS["think"], p) for _, p in series], lw=0)
            axes.annotate(
                percent(series[-1][1]),
                xy=(1, place),
                xycoords=("axes fraction", "data"),
                xytext=(4, 0),
                textcoords="offset pixels",
                va="center",
                color=INK,
                annotation_clip=False,
            )
        axes.set_xlim(steps[0], ends[-1])
        axes.set_xlabel("step")
        axes.set_title("pale: short, full colour: think")
        axes.locator_params(axis="x", nbins=5, integer=True)

    name, title = "probe", "P(think) over RL steps"
    about = [f"{row}: {percent(s[0][1])} at step {s[0][0]}, {percent(s[-1][1])} at step {s[-1][0]}" for row, s in rows]
    svg = draw(
        name,
        plot,
        title=title,
        description="; ".join(about) + ".",
        left=_left(row for row, _ in rows),
        right=44,
        height=_height(len(rows)),
    )
    caption = (
        "Read exactly, on the same problems at every reading; step 0 is the warm-up model. A row is a task and a level "
        "of it; the number is the last reading."
    )
    return Chart(name, title, caption, svg, tall=True)


def _dot_rows(levels: Sequence[TaskLevel]) -> list[DotRow]:
    """Rows from the easiest for a short answer to the hardest."""
    by_task = len({(row.task, row.difficulty) for row in levels}) > MOST_ROWS
    cells: dict[tuple[str, str], dict[tuple[str, str], list[TaskLevel]]] = {}
    for row in levels:
        kind = (row.task, "" if by_task or row.difficulty is None else str(row.difficulty))
        cells.setdefault(kind, {}).setdefault((row.model, row.mode), []).append(row)
    rows = []
    for kind, cell in cells.items():
        means = {of: over_benchmarks(members) for of, members in cell.items()}
        # P(think) is a property of the prompt: any mode has it.
        before, after = (
            next((mean.p_think for (owner, _), mean in means.items() if owner == model), None)
            for model in ("sft", "rl")
        )
        short = means.get(("rl", "short"), means.get(("sft", "short")))
        if (before, after, short) != (None, None, None):
            rows.append(DotRow(_name(*kind), before, after, short))
    return sorted(rows, key=lambda row: (row.short is None, -row.short.accuracy if row.short else 0.0, row.name))


def _described(row: DotRow) -> str:
    words = []
    if row.before is not None:
        words.append(f"P(think) {percent(row.before)} after the warm-up")
    if row.after is not None:
        words.append(f"{percent(row.after)} after RL")
    if row.short is not None:
        words.append(f"forced short right on {percent(row.short.accuracy)}")
    return f"{row.name}: {', '.join(words)}"


def _legend(axes: Any, rows: Sequence[DotRow]) -> None:
    """The three marks in words, above the rows."""
    from matplotlib.lines import Line2D

    marks = []
    for there, model, words, marker in (
        (any(row.before is not None for row in rows), "sft", "warm-up", MARKERS["sft"]),
        (any(row.after is not None for row in rows), "rl", "RL", MARKERS["rl"]),
        (any(row.short is not None for row in rows), "short", "right if forced short", "|"),
    ):
        if there:
            mark = Line2D([], [], linestyle="", marker=marker, color=COLORS[model], markersize=6, label=words)
            mark.set_markerfacecolor(COLORS[model] if model == "rl" else PAPER)
            mark.set_markeredgewidth(1.5)
            marks.append(mark)
    names = axes.legend(
        handles=marks, loc="lower right", bbox_to_anchor=(1.02, 1.0), ncols=3, frameon=False, borderaxespad=0.2,
        handletextpad=0.1, columnspacing=1.0, handlelength=1.2,
    )  # fmt: skip
    for text, line in zip(names.get_texts(), marks, strict=True):
        text.set_color(line.get_color())


def _row_axis(axes: Any, names: Sequence[str]) -> None:
    """One row per name, the first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)


def _left(names: Any) -> int:
    return round(14 + 5.1 * max(map(len, names)))


def _height(num_rows: int) -> int:
    return 26 + 38 + ROW * max(num_rows, 3)


def _name(task: str, level: str) -> str:
    """Task and level, a long name without its end."""
    short = task if len(task) <= LONGEST_NAME else f"{task[: LONGEST_NAME - 1]}…"
    return f"{short} {level}".rstrip()


def _mean(series: Sequence[Series]) -> Series:
    """Mean of several series, step by step; a step counts if all have it."""
    values: dict[int, list[float]] = {}
    for member in series:
        for step, value in member:
            values.setdefault(step, []).append(value)
    return tuple((step, sum(v) / len(v)) for step, v in sorted(values.items()) if len(v) == len(series))


def _spaced(series: Series) -> Series:
    """At most `MOST_READINGS` of a series, first and last among them."""
    if len(series) <= MOST_READINGS:
        return series
    last = len(series) - 1
    return tuple(series[round(index * last / (MOST_READINGS - 1))] for index in range(MOST_READINGS))
