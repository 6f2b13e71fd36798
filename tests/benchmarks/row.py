"""What a row of the benchmarks is: who takes part, with what, and how the outcome is written down."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.contest import ROOT, Contestant, Ratio, SideResult, ratio_of

PACKAGES = ("flows", "tasks", "thinkless_core", "infra", "schemas")


@dataclass(frozen=True)
class Setting:
    """What the command line decided."""

    quick: bool
    threads: int
    """Cores to use where a row does not prescribe one thread."""
    folder: Path
    """Caches, logs and results; absolute."""


@dataclass(frozen=True)
class Row:
    """One comparison; all its contestants do the same work."""

    name: str
    title: str
    contests: Callable[[Setting], Sequence[Sequence[Contestant]]]
    """Contestants that take turns with each other; several groups where sizes are compared."""
    describe: Callable[[Sequence[Sequence[SideResult]]], str]
    """Markdown: what was compared and what came out."""
    repeats: int = 5
    """Rounds, where the command line does not say otherwise."""
    prepare: Callable[[Setting], None] = field(default=lambda setting: None)
    """Makes what the contestants share, once: models, data."""
    peers: Sequence[str] = ("trl", "math-verify", "pandas", "datasets")
    """Distributions that have to be installed; by default those of all rows."""


def source_tag(*names: str) -> str:
    """A short hash of files of this folder: what they make is cached under it, and made anew when they change."""
    return _hash_of([Path(__file__).parent / name for name in names])


def product_tag() -> str:
    """A short hash of the product's sources and of the benchmarks: numbers belong to the code they were taken from."""
    return _hash_of(
        path
        for package in (*PACKAGES, "tests/benchmarks")
        for path in sorted((ROOT / package).rglob("*"))
        if path.suffix in (".py", ".sql", ".toml")
    )


def _hash_of(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:8]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def spread(values: Sequence[float], *, digits: int = 3) -> str:
    """Median (lowest - highest)."""
    return f"{number(statistics.median(values), digits)} ({number(min(values), digits)}-{number(max(values), digits)})"


def number(value: float, digits: int = 3) -> str:
    """`digits` significant ones, without an exponent, thousands separated."""
    if value >= 10 ** (digits - 1):
        return f"{round(value, digits - len(str(int(value)))):,.0f}"
    return f"{value:.{digits}g}"


def megabytes(result: SideResult) -> str:
    """Peak memory of a side's process, and of the device where one was used."""
    text = f"{result.memory['host'] / 1e6:,.0f}"
    return f"{text} + {result.memory['device'] / 1e6:,.0f} device" if "device" in result.memory else text


def speed_up(ours: SideResult, theirs: SideResult, *, unit: str | None = None) -> Ratio:
    """How many times faster ours is: by `unit` per second, or by seconds per step."""
    if unit is not None:
        return ratio_of(ours.rates(unit), theirs.rates(unit))
    return ratio_of(theirs.seconds_per_step(), ours.seconds_per_step())
