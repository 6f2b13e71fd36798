"""Where labels go, so that none covers another: in one dimension for ends of lines, in two for points.

Greedy and deterministic: the same points give the same places. All coordinates are pixels, y upwards.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


class Box(NamedTuple):
    """An upright rectangle."""

    x0: float
    y0: float
    x1: float
    y1: float

    def overlap(self, other: Box) -> float:
        """Area shared with another box."""
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        return max(width, 0.0) * max(height, 0.0)

    def outside(self, frame: Box) -> float:
        """How far it sticks out of a frame, added up over the four sides."""
        excess = (frame.x0 - self.x0, frame.y0 - self.y0, self.x1 - frame.x1, self.y1 - frame.y1)
        return sum(max(e, 0.0) for e in excess)


def spread(wanted: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Positions at least `gap` apart within [low, high], in the order of and as near as possible to those wanted.

    If there are too many for the range, they are packed evenly, closer than `gap`.
    """
    if not wanted:
        return []
    gap = min(gap, (high - low) / max(len(wanted) - 1, 1))
    order = sorted(range(len(wanted)), key=lambda i: (wanted[i], i))
    placed = [min(max(wanted[i], low), high) for i in order]
    for _ in range(4 * len(placed)):
        for k in range(1, len(placed)):
            excess = gap - (placed[k] - placed[k - 1])
            if excess > 0:
                placed[k - 1] -= excess / 2
                placed[k] += excess / 2
        shift = max(low - placed[0], 0.0) or min(high - placed[-1], 0.0)
        placed = [p + shift for p in placed]
    for k, position in enumerate(placed):
        floor = low if k == 0 else placed[k - 1] + gap
        placed[k] = max(position, floor)
    for k in range(len(placed) - 1, -1, -1):
        placed[k] = min(placed[k], high if k == len(placed) - 1 else placed[k + 1] - gap)
    positions = [0.0] * len(wanted)
    for rank, index in enumerate(order):
        positions[index] = placed[rank]
    return positions


def place_around(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    *,
    frame: Box,
    obstacles: Sequence[Box],
) -> list[tuple[float, float]]:
    """The centre of a label for every point: beside it, inside the frame, off other labels, points and obstacles.

    sizes: width and height of each label. Crowded points choose first, since they have the fewest free places.
    Labels beside or near their point cost least; a line from a point to its label avoids labels placed before.
    """
    crowd = [sum(1 for q in points if math.dist(p, q) < 40) for p in points]
    order = sorted(range(len(points)), key=lambda i: (-crowd[i], i))
    dots = [Box(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    taken: list[Box] = []
    centres: list[tuple[float, float]] = [(0.0, 0.0)] * len(points)
    for index in order:
        (x, y), (width, height) = points[index], sizes[index]
        best = math.inf
        for radius in (9, 15, 23, 33, 45, 60, 78):
            for turn in range(16):
                angle = 2 * math.pi * turn / 16
                centre = (
                    x + math.cos(angle) * (radius + width / 2),
                    y + math.sin(angle) * (radius + height / 2),
                )
                box = _around(centre, width, height)
                cost = (
                    100 * box.outside(frame)
                    + 10 * sum(box.overlap(other) for other in taken)
                    + 4 * sum(box.overlap(other) for other in [*dots, *obstacles])
                    + 40 * sum(_crosses((x, y), centre, other) for other in taken)
                    + radius
                    + 0.2 * min(turn, 16 - turn)
                )
                if cost < best:
                    best, centres[index] = cost, centre
        taken.append(_around(centres[index], width, height))
    return centres


def _crosses(start: tuple[float, float], end: tuple[float, float], box: Box) -> bool:
    """Whether the straight line between two points runs through a box, looked at in ten places."""
    places = ((start[0] + (end[0] - start[0]) * k / 10, start[1] + (end[1] - start[1]) * k / 10) for k in range(10))
    return any(box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1 for x, y in places)


def _around(centre: tuple[float, float], width: float, height: float) -> Box:
    x, y = centre
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
