"""Labels of the pictures keep off each other."""

from __future__ import annotations

import itertools

from infra.report.charts.label_layout import Box, place_around, spread


def test_labels_keep_their_order_and_distance() -> None:
    placed = spread([50.0, 50.0, 51.0, 10.0], gap=12, low=0, high=60)
    order = sorted(placed)
    assert all(b - a >= 12 - 1e-9 for a, b in itertools.pairwise(order))
    assert min(order) >= 0
    assert max(order) <= 60 + 1e-9
    assert placed[3] == min(placed)
    assert placed[2] == max(placed)


def test_labels_of_coinciding_points_do_not_overlap() -> None:
    points = [(100.0, 100.0)] * 4 + [(104.0, 98.0), (20.0, 20.0)]
    sizes = [(60.0, 13.0)] * len(points)
    centres = place_around(points, sizes, frame=Box(0, 0, 300, 200), obstacles=[])
    boxes = [Box(x - 30, y - 6.5, x + 30, y + 6.5) for x, y in centres]
    assert all(a.overlap(b) == 0 for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(box.outside(Box(0, 0, 300, 200)) == 0 for box in boxes)
