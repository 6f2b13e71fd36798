"""Table `removed_problems`: training problems that a benchmark holds."""

from __future__ import annotations

from typing import Literal

from schemas.base import Record


class RemovedProblem(Record):
    """One training problem that was removed because a benchmark holds it, whole or in part."""

    TABLE = "removed_problems"
    FILE = "decontaminated.parquet"

    prompt: str
    """The training problem that was left out."""
    source: str
    """Its origin: a generator's name, or a file or data set and its row."""
    match: Literal["text", "ngram"]
    """`text`: the same text apart from case and white space; `ngram`: a shared sequence of words."""
    benchmark: str
    """The benchmark it shares a passage with."""
    benchmark_problem_id: str
    """The problem of the benchmarks that shares the text, or the most words."""
    benchmark_prompt: str
    """The problem there."""
    shared: str
    """The first shared n-gram; the whole problem for match `text`."""
    shared_share: float
    """Share of the problem's n-grams that any benchmark holds; 1 for match `text`."""
    shared_text: str | None = None
    """Everything that it shares with that problem, as it is written here; ` ... ` between two passages."""
    shared_words_share: float | None = None
    """Share of the words of the shorter of the two texts that stand in shared n-grams; 1 for match `text`."""
