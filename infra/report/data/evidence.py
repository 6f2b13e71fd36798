"""Reads all numbers of the report once: Parquet tables -> SQL -> one frozen Evidence.

ReportInputs -> tables and views in an in-memory database -> Evidence -> verdicts, charts, page, cards
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from infra.report.data import queries
from infra.report.data.evidence_rows import (
    AccuracyByDifficulty,
    AgainstThink,
    Comparison,
    Disagreement,
    GraderCount,
    ProblemCount,
    RolloutCount,
    RoutingGroup,
    Series,
    StillWrong,
    TaskLevel,
    TaskRouter,
    ThinkByDifficulty,
)
from infra.report.data.examples import Example, read_examples
from infra.report.data.in_memory_tables import connect, read_rows
from infra.report.data.inputs import TABLES, ReportInputs
from schemas.errors import EvaluationError
from schemas.records.dropped import DroppedRow
from schemas.records.eval_pareto import ParetoPoint
from schemas.records.eval_routers import RouterScore
from schemas.records.eval_summary import EvalSummary
from schemas.records.guard_events import GuardEvent

T = TypeVar("T")

MODELS = ("base", "sft", "rl")
MODES = ("auto", "short", "think")
VIEWS = (
    "rollout_modes", "eval_think_by_difficulty", "eval_accuracy_by_difficulty", "eval_think_histogram",
    "eval_problem_counts", "eval_comparison", "eval_against_think", "eval_still_wrong", "eval_routing", "eval_graders",
    "eval_by_task", "eval_routers_by_task",
)  # fmt: skip
"""Views of the catalog that the report reads."""
MOST_DISAGREEMENTS = 24
"""Completions listed on which the graders disagree; all are counted."""
MOST_DROPPED = 300
"""Rows listed that one stage left out for one reason; all are counted, and stand in the file beside the page."""
DROPPED_LENGTH = 300
"""Characters of a problem or an answer in that list."""


@dataclass(frozen=True)
class Evidence:
    """All numbers of one run that the report uses."""

    cells: tuple[EvalSummary, ...]
    """Result table: benchmarks in the order of the file, models base, sft, rl, modes auto, short, think."""
    sft: dict[str, Series]
    rl: dict[str, Series]
    rollout_counts: tuple[RolloutCount, ...]
    p_think: tuple[ThinkByDifficulty, ...]
    accuracy: tuple[AccuracyByDifficulty, ...]
    """Both over problems without a task."""
    task_levels: tuple[TaskLevel, ...]
    task_routers: tuple[TaskRouter, ...]
    """Both in the order of tasks and their levels; empty if no problem has a task."""
    histogram: dict[str, dict[int, int]]
    """Model -> bin (0-19) of P(think) -> number of problems."""
    problem_counts: dict[str, ProblemCount]
    """By benchmark; empty if the completions are not there."""
    comparisons: dict[str, Comparison]
    """By benchmark; one with a single problem has none."""
    against_think: tuple[AgainstThink, ...]
    still_wrong: tuple[StillWrong, ...]
    """Of the model the page is about."""
    dropped: tuple[DroppedRow, ...]
    """The first `MOST_DROPPED` of each stage and reason."""
    num_dropped: int
    """All of them."""
    routing: tuple[RoutingGroup, ...]
    routers: tuple[RouterScore, ...]
    pareto: tuple[ParetoPoint, ...]
    guard_events: tuple[GuardEvent, ...]
    graders: tuple[GraderCount, ...]
    """Models whose completions carry both verdicts."""
    disagreements: tuple[Disagreement, ...]
    """The first `MOST_DISAGREEMENTS`."""
    examples: tuple[Example, ...]
    tables: frozenset[str]
    """Names of the tables that were built."""

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """Names of the benchmarks, in the order of the result table."""
        return tuple(dict.fromkeys(cell.benchmark for cell in self.cells))

    def place(self, benchmark: str) -> int:
        """Number of a benchmark in that order; one without a result comes last."""
        return self.benchmarks.index(benchmark) if benchmark in self.benchmarks else len(self.benchmarks)

    @property
    def subject(self) -> str | None:
        """The model the page is about: the trained one, or the furthest on the way to it that was evaluated."""
        found = {cell.model for cell in self.cells}
        return next((model for model in ("rl", "sft", "base") if model in found), min(found, default=None))

    def cell(self, benchmark: str, model: str, mode: str) -> EvalSummary | None:
        """One cell of the result table, or None if it was not measured."""
        wanted = (benchmark, model, mode)
        return next((c for c in self.cells if (c.benchmark, c.model, c.mode.value) == wanted), None)


def ordered_cells(rows: Sequence[EvalSummary]) -> tuple[EvalSummary, ...]:
    """Cells in table order: benchmarks as they first appear, then model, then mode."""
    benchmarks = list(dict.fromkeys(row.benchmark for row in rows))
    models = [*MODELS, *sorted({row.model for row in rows} - set(MODELS))]
    return tuple(
        sorted(
            rows,
            key=lambda c: (benchmarks.index(c.benchmark), models.index(c.model), MODES.index(c.mode.value)),
        )
    )


def read_result_cells(eval_summary: Path) -> tuple[EvalSummary, ...]:
    """The result table of a run.

    Raises MissingArtifactError if the file is absent and EvaluationError if it has no rows.
    """
    tables = {"eval_summary": (eval_summary,)}
    with connect(tables, schemas={"eval_summary": EvalSummary}) as connection:
        return _cells(connection, eval_summary)


def gather_evidence(inputs: ReportInputs) -> Evidence:
    """Run every query of the report.

    Raises MissingArtifactError if a file that is named is absent and EvaluationError if the evaluation holds
    nothing; a table that was not built and missing metrics are no error: the report says that they are missing.
    """
    with connect(inputs.tables, schemas=TABLES, views=VIEWS) as connection:

        def rows(sql: str, **parameters: object) -> list[tuple[Any, ...]]:
            return list(connection.execute(sql, parameters or None).fetchall())

        def view(name: str, row: type[T], *, where: str = "true", order: str = "all") -> tuple[T, ...]:
            columns = ", ".join(row._fields)  # type: ignore[attr-defined]
            return tuple(row(*found) for found in rows(f"SELECT {columns} FROM {name} WHERE {where} ORDER BY {order}"))

        histogram: dict[str, dict[int, int]] = {}
        for model, bin_index, count in rows("SELECT model, bin, num_problems FROM eval_think_histogram ORDER BY ALL"):
            histogram.setdefault(model, {})[bin_index] = count
        by_task = "benchmark, task, difficulty NULLS LAST, model"
        summaries = inputs.tables.get("eval_summary", ())
        evidence = Evidence(
            cells=_cells(connection, summaries[0]) if summaries else (),
            sft=_series(rows(queries.SERIES.format(table="sft_metrics"))),
            rl=_series(rows(queries.SERIES.format(table="rl_metrics"))),
            rollout_counts=view("rollout_modes", RolloutCount),
            p_think=view("eval_think_by_difficulty", ThinkByDifficulty),
            accuracy=view("eval_accuracy_by_difficulty", AccuracyByDifficulty),
            task_levels=view("eval_by_task", TaskLevel, order=f"{by_task}, mode"),
            task_routers=view("eval_routers_by_task", TaskRouter, order=f"{by_task}, router"),
            histogram=histogram,
            problem_counts={row.benchmark: row for row in view("eval_problem_counts", ProblemCount)},
            comparisons={row.benchmark: row for row in view("eval_comparison", Comparison, where="model = 'rl'")},
            against_think=view("eval_against_think", AgainstThink),
            still_wrong=view("eval_still_wrong", StillWrong, order="benchmark, task, difficulty NULLS LAST"),
            dropped=tuple(
                DroppedRow(**dict(zip(DroppedRow.model_fields, row, strict=True)))
                for row in rows(queries.FIRST_DROPPED_ROWS, most=MOST_DROPPED, length=DROPPED_LENGTH)
            ),
            num_dropped=rows("SELECT count(*) FROM dropped")[0][0],
            routing=view("eval_routing", RoutingGroup, where="model = 'rl'"),
            routers=tuple(read_rows(connection, "eval_routers", RouterScore)),
            pareto=tuple(read_rows(connection, "eval_pareto", ParetoPoint, order="model, benchmark, think_bias")),
            guard_events=tuple(read_rows(connection, "guard_events", GuardEvent, order="step")),
            graders=view(
                "eval_graders", GraderCount, order="list_position(['base', 'sft', 'rl'], model) NULLS LAST, model"
            ),
            disagreements=tuple(Disagreement(*row) for row in rows(queries.DISAGREEMENTS, limit=MOST_DISAGREEMENTS)),
            examples=(),
            tables=frozenset(inputs.tables),
        )
        subject, of_subject = evidence.subject, [row for row in evidence.still_wrong if row.model == evidence.subject]
        return replace(
            evidence,
            still_wrong=tuple(sorted(of_subject, key=lambda row: evidence.place(row.benchmark))),
            examples=read_examples(connection, model=subject, first=inputs.examples),
        )


def write_dropped_rows(inputs: ReportInputs, path: Path) -> None:
    """Write every row that was left out as CSV; no file if there is none."""
    with connect(inputs.tables, schemas={"dropped": DroppedRow}) as connection:
        if connection.execute("SELECT 1 FROM dropped LIMIT 1").fetchall():
            literal = "'" + str(path).replace("'", "''") + "'"
            connection.execute(f"COPY ({queries.DROPPED_ROWS}) TO {literal} (FORMAT csv, HEADER)")


def query_pairs(inputs: ReportInputs, sql: str) -> list[tuple[Any, ...]]:
    """Rows of one query over the tables `pairs` and `problems`."""
    return query_rows(inputs, sql, tables=("pairs", "problems"))


def query_rows(inputs: ReportInputs, sql: str, *, tables: Sequence[str], **parameters: object) -> list[tuple[Any, ...]]:
    """Rows of one query over some tables; one that was not built has no rows."""
    with connect(inputs.tables, schemas={name: TABLES[name] for name in tables}) as connection:
        return list(connection.execute(sql, parameters or None).fetchall())


def _cells(connection: Any, path: Path) -> tuple[EvalSummary, ...]:
    found = read_rows(connection, EvalSummary.TABLE, EvalSummary)
    if not found:
        raise EvaluationError(f"report: {path.name} has no rows, so nothing was evaluated; rerun stage evaluate")
    return ordered_cells(found)


def _series(rows: Sequence[tuple[Any, ...]]) -> dict[str, Series]:
    series: dict[str, list[tuple[int, float]]] = {}
    for name, step, value in rows:
        series.setdefault(name, []).append((step, value))
    return {name: tuple(points) for name, points in series.items()}
