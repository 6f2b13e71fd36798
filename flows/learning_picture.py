"""The picture that `thinkless watch` shows: a run's stages, and the curves of its trainings as sparklines.

run record, trainings -> rich renderable
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from infra.runs import RunRecord
from infra.store.artifact_store import UnfinishedBuild
from tasks.headline import HEADLINES, percent, short
from tasks.running.progress_display import duration
from tasks.training_curves import Curves, Training

BARS = "▁▂▃▄▅▆▇█"
WIDTH = 24
"""Characters of a sparkline."""
PROBE = "probe_p_think"

MORE: Mapping[str, tuple[tuple[str, str, Callable[[float], str]], ...]] = {
    "rl": (
        ("short_accuracy", "accuracy, short", percent),
        ("think_accuracy", "accuracy, think", percent),
        ("loss", "loss", short),
    ),
    "sft": (("think_loss", "loss, think", short), ("short_loss", "loss, short", short)),
}
"""Stage -> (metric, label, format) of the rows below those of its headline."""


def picture(
    run: RunRecord, trainings: Sequence[Training], unfinished: Iterable[UnfinishedBuild], *, labels: Mapping[str, str]
) -> RenderableType:
    """All of it; a stage without curves is a word in the lines above them. `labels`: key -> name of its artifact."""
    used = "  ".join(f"{labels[use.key]} {use.word}" for use in run.stages)
    state = "being built" if run.status == "running" else "unfinished"
    head = f"run {run.run_id}  profile {run.profile}  {run.status}"
    lines: list[RenderableType] = [Text(f"{head}: {run.error}" if run.error else head, style="bold")]
    lines += [Text(used or "no stage yet"), *(Text(f"{build.stage} {state}") for build in unfinished)]
    for training in trainings:
        lines += [Text(), Text(_title(training), style="bold"), _table(training)]
    return Group(*lines)


def _title(training: Training) -> str:
    if training.unfinished and not training.curves:
        return f"{training.stage}  before the first step of {training.num_steps}"
    title = f"{training.stage}  step {training.step} of {training.num_steps}"
    left = training.seconds_left
    return title if left is None else f"{title}  about {duration(left)} left"


def _table(training: Training) -> Table:
    """One row per curve: label, sparkline, first and newest value."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for column in ("label", "sparkline", "values"):
        table.add_column(column, no_wrap=True)
    for name, label, written in _rows(training.stage, training.curves):
        values = [value for _, value in sorted(training.curves[name].items())]
        share = written(0.5).endswith("%")  # all shares are drawn between 0 and 1, so that they can be compared
        line = sparkline(values, limits=(0.0, 1.0) if share else None)
        table.add_row(label, line, f"{written(values[0])} -> {written(values[-1])}")
    return table


def _rows(stage: str, curves: Curves) -> Iterator[tuple[str, str, Callable[[float], str]]]:
    """(metric, label, format) of each curve there is: P(think) at the end, with its parts below it."""
    rows = [row for row in (*HEADLINES[stage], *MORE[stage]) if row[0] in curves]
    yield from sorted(rows, key=lambda row: row[0] == PROBE)
    for name in curves:
        if name.startswith(f"{PROBE}/"):
            part = name.removeprefix(f"{PROBE}/").removeprefix("task_")
            yield name, f"  {part.replace('difficulty_', 'difficulty ').replace(':', ' level ')}", percent


def sparkline(values: Sequence[float], *, limits: tuple[float, float] | None = None) -> str:
    """The values as bars, neighbours averaged if there are more than fit; `limits` default to the extremes."""
    num_bars = min(len(values), WIDTH)
    edges = [round(bar * len(values) / num_bars) for bar in range(num_bars + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = limits or (min(means), max(means))
    span = (high - low) or 1.0
    return "".join(BARS[max(0, min(int((mean - low) / span * len(BARS)), len(BARS) - 1))] for mean in means)
