"""Everything the report says, read once: Parquet tables -> SQL -> one frozen Evidence.

ReportInputs -> views in an in-memory database -> queries.py -> Evidence -> verdicts, charts, page, cards
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from infra.report.data import queries
from infra.report.data.evidence_rows import (
    AccuracyByDifficulty,
    Comparison,
    Disagreement,
    GraderCount,
    RolloutCount,
    RoutingGroup,
    Series,
    ThinkByDifficulty,
)
from infra.report.data.examples import Example, read_examples
from infra.report.data.inputs import TABLES, ReportInputs
from infra.report.data.tables import connect, read_rows
from schemas.errors import EvaluationError
from schemas.records.eval_pareto import ParetoPoint
from schemas.records.eval_routers import RouterScore
from schemas.records.eval_summary import EvalSummary
from schemas.records.guard_events import GuardEvent

MODELS = ("base", "sft", "rl")
MODES = ("auto", "short", "think")
MOST_DISAGREEMENTS = 24
"""Completions listed on which the graders disagree; all are counted."""


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
    histogram: dict[str, dict[int, int]]
    """Model -> bin (0-19) of P(think) -> number of problems."""
    comparisons: dict[str, Comparison]
    """By benchmark; one with a single problem has none."""
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

    @property
    def subject(self) -> str | None:
        """The model the page is about: the trained one, or the furthest on the way to it that was evaluated."""
        found = {cell.model for cell in self.cells}
        return next((model for model in ("rl", "sft", "base") if model in found), min(found, default=None))

    def cell(self, benchmark: str, model: str, mode: str) -> EvalSummary | None:
        """One cell of the result table, or None where it was not measured."""
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

    Raises MissingArtifactError where the file is absent and EvaluationError where it has no rows.
    """
    tables = {"eval_summary": (eval_summary,)}
    with connect(tables, schemas={"eval_summary": EvalSummary}) as connection:
        return _cells(connection, eval_summary)


def gather_evidence(inputs: ReportInputs) -> Evidence:
    """Run every query of the report.

    Raises MissingArtifactError where a file that is named is absent and EvaluationError where the evaluation holds
    nothing; a table that was not built and missing metrics are no error: the report says that they are missing.
    """
    with connect(inputs.tables, schemas=TABLES) as connection:

        def rows(sql: str, **parameters: object) -> list[tuple[Any, ...]]:
            return list(connection.execute(sql, parameters or None).fetchall())

        histogram: dict[str, dict[int, int]] = {}
        for model, bin_index, count in rows(queries.P_THINK_HISTOGRAM):
            histogram.setdefault(model, {})[bin_index] = count
        summaries = inputs.tables.get("eval_summary", ())
        evidence = Evidence(
            cells=_cells(connection, summaries[0]) if summaries else (),
            sft=_series(rows(queries.SERIES.format(table="sft_metrics"))),
            rl=_series(rows(queries.SERIES.format(table="rl_metrics"))),
            rollout_counts=tuple(RolloutCount(*row) for row in rows(queries.ROLLOUT_COUNTS)),
            p_think=tuple(ThinkByDifficulty(*row) for row in rows(queries.P_THINK_BY_DIFFICULTY)),
            accuracy=tuple(AccuracyByDifficulty(*row) for row in rows(queries.ACCURACY_BY_DIFFICULTY)),
            histogram=histogram,
            comparisons={row[0]: Comparison(*row[1:]) for row in rows(queries.COMPARISON)},
            routing=tuple(RoutingGroup(*row) for row in rows(queries.ROUTING)),
            routers=tuple(read_rows(connection, "eval_routers", RouterScore)),
            pareto=tuple(read_rows(connection, "eval_pareto", ParetoPoint, order="model, benchmark, think_bias")),
            guard_events=tuple(read_rows(connection, "guard_events", GuardEvent, order="step")),
            graders=tuple(GraderCount(*row) for row in rows(queries.GRADERS)),
            disagreements=tuple(Disagreement(*row) for row in rows(queries.DISAGREEMENTS, limit=MOST_DISAGREEMENTS)),
            examples=(),
            tables=frozenset(inputs.tables),
        )
        return replace(evidence, examples=read_examples(connection, model=evidence.subject, first=inputs.examples))


def query_pairs(inputs: ReportInputs, sql: str) -> list[tuple[Any, ...]]:
    """Rows of one query over the table `pairs`."""
    with connect(inputs.tables, schemas={"pairs": TABLES["pairs"]}) as connection:
        return list(connection.execute(sql).fetchall())


def _cells(connection: Any, path: Path) -> tuple[EvalSummary, ...]:
    columns = list(EvalSummary.model_fields)
    names = ", ".join(c if c != "accuracy_paper" else f"coalesce({c}, 'nan') AS {c}" for c in columns)
    found = connection.execute(f"SELECT {names} FROM eval_summary").fetchall()
    if not found:
        raise EvaluationError(f"report: {path.name} has no rows, so nothing was evaluated; rerun stage evaluate")
    return ordered_cells([EvalSummary(**dict(zip(columns, row, strict=True))) for row in found])


def _series(rows: Sequence[tuple[Any, ...]]) -> dict[str, Series]:
    series: dict[str, list[tuple[int, float]]] = {}
    for name, step, value in rows:
        series.setdefault(name, []).append((step, value))
    return {name: tuple(points) for name, points in series.items()}
