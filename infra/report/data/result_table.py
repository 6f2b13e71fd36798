"""The result table as plain text, printed at the end of a run, and as Markdown: one block per benchmark.

eval_summary.parquet -> cells -> aligned columns and one line of summary per benchmark. The text is ASCII only.
"""

from __future__ import annotations

from pathlib import Path

from infra.report.data.evidence import read_result_cells
from infra.report.data.in_memory_tables import connect
from infra.report.data.verdicts import benchmark_line
from infra.report.data.wording import accuracy, percent, tokens
from schemas.records.eval_routers import RouterScore
from schemas.records.eval_summary import EvalSummary

HEADER = ("model", "mode", "accuracy", "think", "tokens", "truncated")


def result_table_text(eval_summary: Path) -> str:
    """Per benchmark its rows model x mode and a summary line; ends without a newline.

    Raises MissingArtifactError if the file is absent and EvaluationError if it has no rows.
    """
    cells = read_result_cells(eval_summary)
    benchmarks = dict.fromkeys(cell.benchmark for cell in cells)
    rows = {b: [_row(cell) for cell in cells if cell.benchmark == b] for b in benchmarks}
    widths = [
        max(len(row[column]) for block in rows.values() for row in [HEADER, *block]) for column in range(len(HEADER))
    ]
    blocks = []
    for benchmark in benchmarks:
        own = [cell for cell in cells if cell.benchmark == benchmark]
        by_mode = {cell.mode.value: cell for cell in own if cell.model == "rl"}
        title = f"{benchmark} ({_completions(own)}, grader {', '.join(sorted({c.grader for c in own}))})"
        lines = [_aligned(row, widths) for row in [HEADER, *rows[benchmark]]]
        summary = benchmark_line(benchmark, by_mode.get("auto"), by_mode.get("think"))
        blocks.append("\n".join([title, *lines, summary]))
    return "\n\n".join(blocks)


def result_table_markdown(eval_summary: Path) -> str:
    """The same of the RL model alone as Markdown: per benchmark four columns, which fit a phone, and its line."""
    cells = read_result_cells(eval_summary)
    parts = []
    for benchmark in dict.fromkeys(cell.benchmark for cell in cells):
        own = [cell for cell in cells if (cell.benchmark, cell.model) == (benchmark, "rl")]
        by_mode = {cell.mode.value: cell for cell in own}
        rows = [
            f"| {cell.mode.value} | {accuracy(cell.accuracy)} ± {accuracy(cell.accuracy_stderr)} "
            f"| {percent(cell.think_share)} | {tokens(cell.mean_tokens)} |"
            for cell in own
        ]
        table = ["| mode | accuracy | thinks | tokens |", "|---|---|---|---|", *rows] if rows else []
        summary = benchmark_line(benchmark, by_mode.get("auto"), by_mode.get("think"))
        parts += [f"### {benchmark}", *(["\n".join(table)] if table else []), summary]
    return "\n\n".join(parts)


def task_sentence(eval_routers: Path, *, key: str) -> str:
    """Where the numbers by task and level of an evaluation are; empty if its problems have no tasks.

    eval_routers: its table of routers, the smallest that tells; key: of the evaluation. Raises MissingArtifactError if
    the file is absent.
    """
    with connect({RouterScore.TABLE: (eval_routers,)}, schemas={RouterScore.TABLE: RouterScore}) as connection:
        (num_rows,) = connection.execute("SELECT count(*) FROM eval_routers WHERE router = 'task'").fetchone()
    query = f"from eval_by_task where artifact_key = '{key}'"
    return f'by task and level: the report, or thinkless sql "{query}"' if num_rows else ""


def _completions(cells: list[EvalSummary]) -> str:
    """How many are behind each row."""
    sizes = sorted({cell.n for cell in cells})
    return f"{sizes[0]} completions" if len(sizes) == 1 else f"{sizes[0]}-{sizes[-1]} completions"


def _row(cell: EvalSummary) -> tuple[str, ...]:
    return (
        cell.model,
        cell.mode.value,
        f"{accuracy(cell.accuracy)} +- {accuracy(cell.accuracy_stderr)}",
        percent(cell.think_share),
        tokens(cell.mean_tokens),
        percent(cell.truncated_share),
    )


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    """Names to the left, numbers to the right."""
    padded = [
        text.ljust(width) if column < 2 else text.rjust(width)
        for column, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
    return f"  {'  '.join(padded)}"
