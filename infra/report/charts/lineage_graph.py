"""The artifacts of a run and what each was made from, as a picture.

manifests -> graph -> columns by longest path, with a slot for every edge that passes a column -> order by mean of
neighbours -> SVG. Drawn from left to right; the same manifests give the same picture.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from infra.report.data.wording import count
from schemas.artifact import Manifest

BOX_WIDTH, BOX_HEIGHT = 132, 74
COLUMN_GAP, ROW_GAP, SLOT_HEIGHT = 44, 14, 10
MARGIN = 8

Name = tuple[str, ...]
"""(stage, key) of an artifact, or (stage, key, stage, key, column) of the slot of a passing edge."""


@dataclass
class _Layout:
    """Columns of names, and the centre of each in pixels."""

    columns: list[list[Name]] = field(default_factory=list)
    paths: list[list[Name]] = field(default_factory=list)
    """Every edge as the names it runs through, from parent to child."""
    centres: dict[Name, tuple[float, float]] = field(default_factory=dict)
    height: float = 0.0


def lineage_svg(manifests: Sequence[Manifest]) -> str | None:
    """The graph as inline SVG, or None without manifests. An input that has no manifest here gets a dashed box."""
    if not manifests:
        return None
    by_name: dict[Name, Manifest] = {(m.stage, m.key): m for m in manifests}
    parents: dict[Name, list[Name]] = {
        name: [(ref.stage, ref.key) for ref in manifest.inputs] for name, manifest in by_name.items()
    }
    for name in [p for inputs in list(parents.values()) for p in inputs]:
        parents.setdefault(name, [])
    digests = {(r.stage, r.key): r.digest for m in manifests for r in m.inputs}
    layout = _lay_out(parents)
    edges = "".join(_edge(path, layout) for path in layout.paths)
    boxes = "".join(
        _box(name, by_name.get(name), digests.get(name, ""), layout.centres[name])
        for column in layout.columns
        for name in column
        if len(name) == 2
    )
    width = 2 * MARGIN + len(layout.columns) * (BOX_WIDTH + COLUMN_GAP) - COLUMN_GAP
    said = "; ".join(f"{name[0]} from {', '.join(p[0] for p in inputs)}" for name, inputs in parents.items() if inputs)
    return (
        f'<svg class="lineage" viewBox="0 0 {width} {layout.height:.0f}" width="{width}" role="img" '
        f'aria-labelledby="lineage-title lineage-desc"><title id="lineage-title">Lineage of the artifacts</title>'
        f'<desc id="lineage-desc">{escape(said or "No artifact has inputs")}.</desc>{edges}{boxes}</svg>'
    )


def _lay_out(parents: dict[Name, list[Name]]) -> _Layout:
    column_of: dict[Name, int] = {}

    def column(name: Name) -> int:
        if name not in column_of:
            column_of[name] = 1 + max((column(parent) for parent in parents[name]), default=-1)
        return column_of[name]

    for name in parents:
        column(name)
    layout = _Layout(columns=[[] for _ in range(max(column_of.values()) + 1)])
    for name in sorted(parents, key=lambda n: (column_of[n], list(parents).index(n))):
        layout.columns[column_of[name]].append(name)
    for child, inputs in parents.items():
        for parent in inputs:
            path = [parent]
            for index in range(column_of[parent] + 1, column_of[child]):
                slot: Name = (*parent, *child, str(index))
                layout.columns[index].append(slot)
                path.append(slot)
            layout.paths.append([*path, child])
    _order(layout)
    _position(layout)
    return layout


def _order(layout: _Layout) -> None:
    """Sort every column by the mean rank of its neighbours, to and fro, so that few edges cross."""
    before: dict[Name, list[Name]] = {}
    after: dict[Name, list[Name]] = {}
    for path in layout.paths:
        for left, right in itertools.pairwise(path):
            after.setdefault(left, []).append(right)
            before.setdefault(right, []).append(left)
    for sweep in range(8):
        neighbours = before if sweep % 2 == 0 else after
        columns = layout.columns if sweep % 2 == 0 else layout.columns[::-1]
        for column in columns:
            rank = {n: i / max(len(c) - 1, 1) for c in layout.columns for i, n in enumerate(c)}
            means = {
                name: sum(rank[n] for n in neighbours[name]) / len(neighbours[name])
                if neighbours.get(name)
                else rank[name]
                for name in column
            }
            column.sort(key=lambda name: (means[name], rank[name]))


def _position(layout: _Layout) -> None:
    """Centres: columns side by side; within one, each name near the mean of its neighbours, in the given order."""
    neighbours: dict[Name, list[Name]] = {}
    for path in layout.paths:
        for left, right in itertools.pairwise(path):
            neighbours.setdefault(left, []).append(right)
            neighbours.setdefault(right, []).append(left)
    heights: dict[Name, float] = {}
    for column in layout.columns:
        top = 0.0
        for name in column:
            size = BOX_HEIGHT if len(name) == 2 else SLOT_HEIGHT
            heights[name] = top + size / 2
            top += size + ROW_GAP
    for _ in range(30):
        for column in layout.columns:
            wanted = [
                sum(heights[n] for n in neighbours[name]) / len(neighbours[name])
                if neighbours.get(name)
                else heights[name]
                for name in column
            ]
            heights.update(zip(column, _kept_apart(column, wanted), strict=True))
    top = min(heights[name] - _half(name) for column in layout.columns for name in column)
    for index, column in enumerate(layout.columns):
        x = MARGIN + index * (BOX_WIDTH + COLUMN_GAP) + BOX_WIDTH / 2
        for name in column:
            layout.centres[name] = (x, heights[name] - top + MARGIN)
    layout.height = max(y + _half(name) for name, (_, y) in layout.centres.items()) + MARGIN


def _half(name: Name) -> float:
    return (BOX_HEIGHT if len(name) == 2 else SLOT_HEIGHT) / 2


def _kept_apart(column: list[Name], wanted: list[float]) -> list[float]:
    """Heights in order and apart: the mean of pushing everything down and pushing everything up."""
    down, up = list(wanted), list(wanted)
    for k in range(1, len(column)):
        room = _half(column[k - 1]) + _half(column[k]) + ROW_GAP
        down[k] = max(down[k], down[k - 1] + room)
    for k in range(len(column) - 2, -1, -1):
        room = _half(column[k]) + _half(column[k + 1]) + ROW_GAP
        up[k] = min(up[k], up[k + 1] - room)
    return [(d + u) / 2 for d, u in zip(down, up, strict=True)]


def _edge(path: list[Name], layout: _Layout) -> str:
    """A smooth line from the right side of the parent, through its slots, to the left side of the child."""
    half = BOX_WIDTH / 2
    x, y = layout.centres[path[0]]
    parts = [f"M{x + half:.0f} {y:.1f}"]
    at = (x + half, y)
    for name in path[1:]:
        cx, cy = layout.centres[name]
        middle = (at[0] + cx - half) / 2
        parts.append(f"C{middle:.0f} {at[1]:.1f} {middle:.0f} {cy:.1f} {cx - half:.0f} {cy:.1f}")
        if len(name) != 2:
            parts.append(f"H{cx + half:.0f}")
        at = (cx + half, cy)
    end_x, end_y = layout.centres[path[-1]][0] - half, layout.centres[path[-1]][1]
    arrow = f"M{end_x - 6:.0f} {end_y - 3.5:.1f}L{end_x:.0f} {end_y:.1f}L{end_x - 6:.0f} {end_y + 3.5:.1f}"
    return f'<path class="edge" d="{"".join(parts)}{arrow}"/>'


def _box(name: Name, manifest: Manifest | None, digest: str, centre: tuple[float, float]) -> str:
    stage, key = name[0], name[1]
    x, y = centre[0] - BOX_WIDTH / 2, centre[1] - BOX_HEIGHT / 2
    lines = [
        f"key {key[:8]}",
        (f"{count(manifest.rows)} rows" if manifest.rows else "no rows") if manifest else "no manifest here",
        f"sha256 {(manifest.digest if manifest else digest).removeprefix('sha256:')[:8]}",
    ]
    texts = "".join(
        f'<text x="{x + 10:.0f}" y="{y + 36 + 14 * row:.0f}">{escape(line)}</text>' for row, line in enumerate(lines)
    )
    kind = "box" if manifest else "box absent"
    return (
        f'<g class="{kind}"><rect x="{x:.0f}" y="{y:.1f}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="5"/>'
        f'<text class="stage" x="{x + 10:.0f}" y="{y + 19:.0f}">{escape(stage)}</text>{texts}</g>'
    )
