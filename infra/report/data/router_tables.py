"""Ways of choosing the mode side by side: eval_routers -> one table per benchmark, the oracle as the measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from infra.report.data.evidence import Evidence
from schemas.records.eval_routers import RouterScore

MEANING = {
    "auto": "the model itself",
    "short": "always short",
    "think": "always think",
    "oracle": "per problem the cheapest mode that is right",
    "random": "by chance, thinking as often as the model",
    "task": "per task the mode that is right more often",
    "task-level": "per task and level the mode that is right more often",
    "threshold": "thinks where P(think) is over the threshold",
}
"""What each router does, in the order of the table."""


class RouterRow(NamedTuple):
    """One router beside the oracle."""

    score: RouterScore
    meaning: str
    tokens_of_oracle: float | None
    """Mean tokens over the oracle's; None without an oracle, or where it spends none."""


@dataclass(frozen=True)
class RouterTable:
    """All routers of one model on one benchmark."""

    benchmark: str
    rows: tuple[RouterRow, ...]


def router_tables(evidence: Evidence) -> tuple[RouterTable, ...]:
    """One table per benchmark on which the page's model was routed."""
    tables = []
    order = list(MEANING)
    for benchmark in dict.fromkeys([*evidence.benchmarks, *(r.benchmark for r in evidence.routers)]):
        scores = [r for r in evidence.routers if (r.model, r.benchmark) == (evidence.subject, benchmark)]
        oracle = next((r.mean_tokens for r in scores if r.router == "oracle"), 0.0)
        scores.sort(key=lambda r: (order.index(r.router), r.threshold or 0.0))
        rows = [RouterRow(r, MEANING[r.router], r.mean_tokens / oracle if oracle else None) for r in scores]
        if rows:
            tables.append(RouterTable(benchmark, tuple(rows)))
    return tuple(tables)
