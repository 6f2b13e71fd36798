"""The artifacts of a run and what each was made from, as a picture.

manifests -> a box for each at the place of its stage (PLACES), a line for each input -> SVG

The recipe is always the same, so the places are written down. A stage that is not among them gets a box below the
others. Drawn from left to right; the same manifests give the same picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from infra.report.data.wording import counted
from schemas.artifact import Manifest

BOX_WIDTH, BOX_HEIGHT = 132, 74
COLUMN_WIDTH = BOX_WIDTH + 44
ROW_HEIGHT = BOX_HEIGHT + 14
MARGIN = 8

Name = tuple[str, str]
"""(stage, key) of an artifact."""


class Place(NamedTuple):
    """Where an artifact is drawn."""

    column: int
    y: float
    """Centre of its box, in pixels."""
    lane: float
    """Height at which lines to later columns pass the columns between."""

    @property
    def left(self) -> int:
        """Left edge of its box."""
        return MARGIN + self.column * COLUMN_WIDTH

    @property
    def right(self) -> int:
        """Right edge of its box."""
        return self.left + BOX_WIDTH


PLACES: dict[str, tuple[Place, ...]] = {
    "base": (Place(0, 70, 16),),
    "problems": (Place(0, 190, 246),),
    "teach": (Place(1, 70, 34), Place(1, 190, 210)),
    "pairs": (Place(2, 130, 52),),
    "sft": (Place(3, 130, 190),),
    "rl": (Place(4, 130, 70),),
    "evaluate": (Place(5, 130, 130),),
    "report": (Place(6, 130, 130),),
}
"""By stage; one that runs twice has two. The lanes lie above and below the boxes of the columns they pass."""
LOWEST = 254
"""Below all of that."""


def lineage_svg(manifests: Sequence[Manifest]) -> str | None:
    """The graph as inline SVG, or None without manifests. An input that has no manifest here gets a dashed box."""
    if not manifests:
        return None
    by_name = {(m.stage, m.key): m for m in manifests}
    digests = {(ref.stage, ref.key): ref.digest for m in manifests for ref in m.inputs}
    parents = {(m.stage, m.key): [(ref.stage, ref.key) for ref in m.inputs] for m in manifests}
    places = _places(dict.fromkeys([*by_name, *digests]), parents)
    edges = "".join(_edge(places[parent], places[child]) for child, inputs in parents.items() for parent in inputs)
    boxes = "".join(_box(name, by_name.get(name), digests.get(name, ""), place) for name, place in places.items())
    width = max(place.right for place in places.values()) + MARGIN
    height = max(LOWEST, *(place.y + BOX_HEIGHT / 2 + MARGIN for place in places.values()))
    labels = {name: manifest.label for name, manifest in by_name.items()}
    about = "; ".join(
        f"{labels[name]} from {', '.join(labels.get(parent, parent[0]) for parent in inputs)}"
        for name, inputs in parents.items()
        if inputs
    )
    return (
        f'<svg class="lineage" viewBox="0 0 {width} {height:.0f}" width="{width}" role="img" '
        f'aria-labelledby="lineage-title lineage-desc"><title id="lineage-title">Lineage of the artifacts</title>'
        f'<desc id="lineage-desc">{escape(about or "No artifact has inputs")}.</desc>{edges}{boxes}</svg>'
    )


def _places(names: Iterable[Name], parents: dict[Name, list[Name]]) -> dict[Name, Place]:
    """A place for every artifact; those without one of their own are put below, right of what they were made from."""
    places: dict[Name, Place] = {}
    free = {stage: list(own) for stage, own in PLACES.items()}
    others: list[Name] = []
    for name in names:
        if own := free.get(name[0]):
            places[name] = own.pop(0)
        else:
            others.append(name)
    for row, name in enumerate(others):
        column = 1 + max((places[parent].column for parent in parents.get(name, []) if parent in places), default=-1)
        y = LOWEST + ROW_HEIGHT * (row + 0.5)
        places[name] = Place(column, y, y)
    return places


def _edge(parent: Place, child: Place) -> str:
    """A smooth line from the right side of the parent, along its lane if columns lie between, to the child."""
    start, path = (parent.right, parent.y), f"M{parent.right} {parent.y:g}"
    if child.column > parent.column + 1:
        path += _curve(start, (parent.left + COLUMN_WIDTH, parent.lane)) + f"H{child.right - COLUMN_WIDTH}"
        start = (child.right - COLUMN_WIDTH, parent.lane)
    x, y = child.left, child.y
    arrow = f"M{x - 6} {y - 3.5:g}L{x} {y:g}L{x - 6} {y + 3.5:g}"
    return f'<path class="edge" d="{path}{_curve(start, (x, y))}{arrow}"/>'


def _curve(start: tuple[int, float], end: tuple[int, float]) -> str:
    middle = (start[0] + end[0]) / 2
    return f"C{middle:g} {start[1]:g} {middle:g} {end[1]:g} {end[0]} {end[1]:g}"


def _box(name: Name, manifest: Manifest | None, digest: str, place: Place) -> str:
    stage, key = name
    x, y = place.left, place.y - BOX_HEIGHT / 2
    lines = [
        f"key {key[:8]}",
        (counted(manifest.rows, "row") if manifest.rows else "no rows") if manifest else "no manifest here",
        f"sha256 {(manifest.digest if manifest else digest).removeprefix('sha256:')[:8]}",
    ]
    texts = "".join(
        f'<text x="{x + 10}" y="{y + 36 + 14 * row:g}">{escape(line)}</text>' for row, line in enumerate(lines)
    )
    kind, label = ("box", manifest.label) if manifest else ("box absent", stage)
    return (
        f'<g class="{kind}"><rect x="{x}" y="{y:g}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="5"/>'
        f'<text class="stage" x="{x + 10}" y="{y + 19:g}">{escape(label)}</text>{texts}</g>'
    )
