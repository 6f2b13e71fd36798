"""Everything the report says, read once: Parquet tables -> SQL -> one frozen Evidence.

ReportInputs -> views in an in-memory database -> queries.py -> Evidence -> verdicts, charts, page, cards
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from infra.report import queries
from infra.report.inputs import TABLES, ReportInputs
from schemas.errors import EvaluationError, MissingArtifactError
from schemas.records import EvalSummary

MODELS = ("base", "sft", "rl")
MODES = ("auto", "short", "think")

Series = tuple[tuple[int, float], ...]
"""(step, value), steps rising."""


class RolloutCount(NamedTuple):
    """Rollouts of one RL step, by mode."""

    step: int
    think: int
    short: int
    malformed: int


class ThinkByDifficulty(NamedTuple):
    """P(think) of one model at one difficulty, over problems."""

    model: str
    difficulty: int
    n: int
    mean: float
    low: float
    """10th percentile."""
    high: float
    """90th percentile."""


class AccuracyByDifficulty(NamedTuple):
    """Accuracy of one model in one mode at one difficulty."""

    model: str
    mode: str
    difficulty: int
    n: int
    accuracy: float
    stderr: float


class Comparison(NamedTuple):
    """The rl model's accuracy in auto mode, compared problem by problem; differences with standard errors."""

    against_think: float
    against_think_stderr: float
    against_coin: float
    """Against choosing the mode by a coin that has the model's own think share."""
    against_coin_stderr: float
    need: float
    """Forced think minus forced short: how much thinking is worth here."""
    need_stderr: float


class RoutingGroup(NamedTuple):
    """Problems the rl model leans to one mode on, and how well a short answer would have done there."""

    leans_to_think: bool
    n: int
    short_accuracy: float
    stderr: float


class ExampleCompletion(NamedTuple):
    """One completion of an example problem."""

    mode: str
    chosen_mode: str | None
    completion: str
    answer: str | None
    correct: bool
    num_tokens: int
    truncated: bool


class Example(NamedTuple):
    """One problem with the rl model's completions in every mode."""

    benchmark: str
    problem_id: str
    difficulty: int | None
    prompt: str | None
    answer: str | None
    picked_as_wrong: bool
    p_think: float
    completions: tuple[ExampleCompletion, ...]


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
    examples: tuple[Example, ...]

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """Names of the benchmarks, in the order of the result table."""
        return tuple(dict.fromkeys(cell.benchmark for cell in self.cells))

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
    with _connect({"eval_summary": eval_summary}) as connection:
        return _cells(connection, eval_summary)


def gather_evidence(inputs: ReportInputs) -> Evidence:
    """Run every query of the report.

    Raises MissingArtifactError where a table's file is absent and EvaluationError where nothing was evaluated;
    missing metrics, difficulties and rollouts are no error: the report says that they are missing.
    """
    with _connect({name: inputs.table(name) for name in TABLES}) as connection:

        def rows(sql: str, **parameters: object) -> list[tuple[Any, ...]]:
            return list(connection.execute(sql, parameters or None).fetchall())

        histogram: dict[str, dict[int, int]] = {}
        for model, bin_index, count in rows(queries.P_THINK_HISTOGRAM):
            histogram.setdefault(model, {})[bin_index] = count
        return Evidence(
            cells=_cells(connection, inputs.eval_summary),
            sft=_series(rows(queries.SERIES.format(table="sft_metrics"))),
            rl=_series(rows(queries.SERIES.format(table="rl_metrics"))),
            rollout_counts=tuple(RolloutCount(*row) for row in rows(queries.ROLLOUT_COUNTS)),
            p_think=tuple(ThinkByDifficulty(*row) for row in rows(queries.P_THINK_BY_DIFFICULTY)),
            accuracy=tuple(AccuracyByDifficulty(*row) for row in rows(queries.ACCURACY_BY_DIFFICULTY)),
            histogram=histogram,
            comparisons={row[0]: Comparison(*row[1:]) for row in rows(queries.COMPARISON)},
            routing=tuple(RoutingGroup(*row) for row in rows(queries.ROUTING)),
            examples=_examples(rows(queries.EXAMPLES, limit=inputs.examples)),
        )


def query_pairs(pairs: Path, sql: str) -> list[tuple[Any, ...]]:
    """Rows of one query over the table `pairs`."""
    with _connect({"pairs": pairs}) as connection:
        return list(connection.execute(sql).fetchall())


def _connect(tables: dict[str, Path]) -> Any:
    """An in-memory database with one view per Parquet file; one thread, so that sums come out the same."""
    import duckdb

    connection = duckdb.connect(config={"threads": 1})
    for name, path in tables.items():
        if not path.is_file():
            connection.close()
            raise MissingArtifactError(f"report: table {name} has no file at {path}; rerun the stage that writes it")
        literal = glob.escape(str(path)).replace("'", "''")
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{literal}')")
    return connection


def _cells(connection: Any, path: Path) -> tuple[EvalSummary, ...]:
    columns = list(EvalSummary.model_fields)
    found = connection.execute(f"SELECT {', '.join(columns)} FROM eval_summary").fetchall()
    if not found:
        raise EvaluationError(f"report: {path.name} has no rows, so nothing was evaluated; rerun stage evaluate")
    return ordered_cells([EvalSummary(**dict(zip(columns, row, strict=True))) for row in found])


def _series(rows: Sequence[tuple[Any, ...]]) -> dict[str, Series]:
    series: dict[str, list[tuple[int, float]]] = {}
    for name, step, value in rows:
        series.setdefault(name, []).append((step, value))
    return {name: tuple(points) for name, points in series.items()}


def _examples(rows: Sequence[tuple[Any, ...]]) -> tuple[Example, ...]:
    """Rows of one problem, which follow each other, as one example."""
    grouped: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
    for row in rows:
        grouped.setdefault((row[0], row[1]), []).append(row)
    examples = []
    for members in grouped.values():
        benchmark, problem_id, difficulty, prompt, answer, picked_as_wrong = members[0][:6]
        completions = tuple(ExampleCompletion(*row[6:13]) for row in members)
        p_think = members[0][13]
        examples.append(
            Example(benchmark, problem_id, difficulty, prompt, answer, picked_as_wrong, p_think, completions)
        )
    return tuple(examples)
