"""Lineage as a tree of text.

LineageStep per edge -> branches by the artifact they hang on -> lines; a branch met twice is drawn once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

_SHOWN_KEY = 8
_SHOWN_DIGEST = 12


class LineageStep(NamedTuple):
    """One artifact met on a walk, as reached from one other; columns of infra/catalog/sql/lineage.sql."""

    depth: int
    from_stage: str | None
    from_key: str | None
    stage: str
    key: str
    digest: str | None
    """None for an artifact that is no longer in the catalog."""
    rows: int | None
    created_at: datetime | None
    """UTC, without zone."""
    run_id: str | None
    rebuilt_since: bool
    """Whether the parent of this edge holds other bytes today than those the child was given."""
    kept: bool = False
    """Whether the parent of this edge was taken (--keep) although the sources of its stage had changed."""
    label: str | None = None
    """`teach-think` or `teach-short` for an artifact of stage `teach`, the stage for any other."""


def lineage_tree(steps: Sequence[LineageStep]) -> list[str]:
    """Lines of the tree whose root is the first step."""
    branches: dict[str | None, dict[str, LineageStep]] = defaultdict(dict)
    for step in steps:
        # Reached over ways of different length, an edge is in the steps once for each.
        branches[step.from_key].setdefault(step.key, step)
    lines: list[str] = []
    drawn: set[str] = set()

    def draw(step: LineageStep, *, first: str, rest: str) -> None:
        below = list(branches[step.key].values()) if step.key in branches else []
        if below and step.key in drawn:
            lines.append(f"{first}{_name(step)}  (branches above)")
            return
        drawn.add(step.key)
        lines.append(first + _line(step))
        for branch in below:
            is_last = branch is below[-1]
            draw(branch, first=rest + ("└─ " if is_last else "├─ "), rest=rest + ("   " if is_last else "│  "))

    for root in list(branches[None].values()):
        draw(root, first="  ", rest="  ")
    return lines


def _name(step: LineageStep) -> str:
    return f"{step.label or step.stage} {step.key[:_SHOWN_KEY]}"


def _line(step: LineageStep) -> str:
    if step.digest is None or step.created_at is None:
        return f"{_name(step)}  no longer in the store"
    rebuilt = "  PARENT REBUILT SINCE, with other bytes" if step.rebuilt_since else ""
    kept = "  PARENT KEPT although its sources had changed" if step.kept else ""
    return (
        f"{_name(step)}  {step.rows} {'row' if step.rows == 1 else 'rows'}  digest {step.digest[:_SHOWN_DIGEST]}  "
        f"{step.created_at:%Y-%m-%d %H:%M:%S} UTC  run {step.run_id}{rebuilt}{kept}"
    )
