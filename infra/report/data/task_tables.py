"""Results and routers by task and level: eval_by_task, eval_routers_by_task -> one table per benchmark.

Levels of different tasks are different things, so that nothing is averaged over them, except in the picture of
problems of many benchmarks: there a task and level is one row, its benchmarks weighted by their problems.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from infra.report.data.evidence import Evidence
from infra.report.data.evidence_rows import TaskLevel, TaskRouter

ROUTERS = ("auto", "short", "think", "task", "task-level", "threshold", "oracle")
"""Columns of the table of routers. `random` is compared benchmark by benchmark alone: its coin is the benchmark's."""


class TaskRow(NamedTuple):
    """The page's model at one level of one task, in its three modes; None if a mode was not asked."""

    task: str
    level: int | None
    num_problems: int
    short: TaskLevel | None
    think: TaskLevel | None
    auto: TaskLevel | None
    before: TaskLevel | None
    """Mode auto of the warm-up model, if the page's model is the one after RL."""


class RouterLine(NamedTuple):
    """Every router at one level of one task, in the order of `ROUTERS`."""

    task: str
    level: int | None
    num_problems: int
    scores: tuple[TaskRouter | None, ...]


@dataclass(frozen=True)
class TaskTable:
    """All tasks and levels of one benchmark."""

    benchmark: str
    rows: tuple[TaskRow, ...]
    routers: tuple[RouterLine, ...]
    """Empty if the model was not forced into both modes."""


def task_tables(evidence: Evidence) -> tuple[TaskTable, ...]:
    """One table per benchmark whose problems have tasks."""
    subject = evidence.subject
    if subject is None:
        return ()
    tables = []
    for benchmark in dict.fromkeys([*evidence.benchmarks, *(row.benchmark for row in evidence.task_levels)]):
        levels = {(r.model, r.mode, r.task, r.difficulty): r for r in evidence.task_levels if r.benchmark == benchmark}
        kinds = dict.fromkeys((task, level) for model, _, task, level in levels if model == subject)
        scores = {
            (r.router, r.task, r.difficulty): r
            for r in evidence.task_routers
            if (r.model, r.benchmark) == (subject, benchmark)
        }
        rows, routers = [], []
        for task, level in kinds:
            short, think, auto = (levels.get((subject, m, task, level)) for m in ("short", "think", "auto"))
            size = next(row.num_problems for row in (auto, short, think) if row is not None)
            earlier = levels.get(("sft", "auto", task, level)) if subject == "rl" else None
            rows.append(TaskRow(task, level, size, short, think, auto, earlier))
            line = tuple(scores.get((router, task, level)) for router in ROUTERS)
            if any(line):
                routers.append(RouterLine(task, level, size, line))
        if rows:
            tables.append(TaskTable(benchmark, tuple(rows), tuple(routers)))
    return tuple(tables)


class TaskMean(NamedTuple):
    """One model in one mode at one level of one task, or at all of them, over all benchmarks."""

    p_think: float | None
    accuracy: float
    accuracy_stderr: float


def over_benchmarks(rows: Sequence[TaskLevel]) -> TaskMean:
    """Means of these rows, which are of one model and mode, each weighted by its problems.

    The standard error is that of means whose weights are fixed: sqrt( sum (n_i s_i)^2 ) / sum n_i.
    """
    total = sum(row.num_problems for row in rows)
    read = [(row.num_problems, row.mean_p_think) for row in rows if row.mean_p_think is not None]
    return TaskMean(
        p_think=sum(n * p for n, p in read) / sum(n for n, _ in read) if read else None,
        accuracy=sum(row.num_problems * row.accuracy for row in rows) / total,
        accuracy_stderr=sum((row.num_problems * row.accuracy_stderr) ** 2 for row in rows) ** 0.5 / total,
    )
