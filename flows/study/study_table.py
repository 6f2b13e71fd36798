"""The claims of a study as a table for a screen, and as Markdown for a document.

study_claims.parquet -> claim, quantity and threshold, condition -> measured, interval, seeds -> verdict
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from infra.report.data.study_claim_groups import measured_claims
from infra.report.data.wording import counted
from schemas.records.study_claims import StudyClaim

COLUMNS = ("claim", "quantity", "condition", "measured", "95% interval", "seeds", "verdict")
COLOURS = {"holds": "green", "fails": "red", "undecided": "yellow"}
NARROWEST = 100
"""Smallest width in characters at which the table can be read; the width for a log or a pipe."""


def claims_as_table(path: Path) -> str:
    """The claims as a table as wide as the terminal; coloured if the output is a terminal."""
    width = max(NARROWEST, shutil.get_terminal_size((140, 24)).columns)
    console = Console(width=width)
    with console.capture() as capture:
        table = Table(*COLUMNS, show_lines=False, pad_edge=False)
        for number, row in enumerate(rows := read_claims(path)):
            repeated = number > 0 and rows[number - 1].claim == row.claim
            claim, *cells, verdict = _cells(row)
            table.add_row("" if repeated else claim, *cells, f"[{COLOURS[verdict]}]{verdict}[/]")
        console.print(table)
        for note in _notes(rows):
            console.print(note, markup=False, highlight=False)
    return capture.get().rstrip()


def claims_as_markdown(path: Path) -> str:
    """The claims as a Markdown table."""
    rows = read_claims(path)
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in rows]
    notes = [f"- {note}" for note in _notes(rows)]
    return "\n".join([*lines, "", *notes] if notes else lines)


def claims_in_brief(path: Path) -> str:
    """The claims as a Markdown table of two columns, which fits a phone, and their readings as a list."""
    rows = read_claims(path)
    lines = ["| claim | verdict |", "|---|---|"]
    lines += [f"| {claim.claim}: {', '.join(claim.conditions)} | {claim.verdict} |" for claim in measured_claims(rows)]
    readings = []
    for row in rows:
        claim, quantity, condition, value, interval, _, verdict = _cells(row)
        seeds = counted(row.num_seeds, "seed")
        basis = seeds if interval == "-" else f"95% interval {interval}, {seeds}"
        readings.append(f"- {claim}, {condition}: {quantity}: {value} ({basis}), {verdict}")
    return "\n".join([*lines, "", *readings])


def read_claims(path: Path) -> list[StudyClaim]:
    """All rows, in the order of the study."""
    return [StudyClaim.model_validate(row) for row in pq.read_table(path).to_pylist()]


def _notes(rows: Sequence[StudyClaim]) -> list[str]:
    """Notes of the rows, each once."""
    return list(dict.fromkeys(f"{row.claim}, {row.condition}: {row.note}" for row in rows if row.note))


def _cells(row: StudyClaim) -> Sequence[str]:
    interval = f"{row.low:.3f} to {row.high:.3f}" if math.isfinite(row.low) and math.isfinite(row.high) else "-"
    return (
        row.claim, row.quantity, row.condition, f"{row.measured:.3f}", interval, str(row.num_seeds), row.verdict,
    )  # fmt: skip
