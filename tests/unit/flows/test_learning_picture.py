"""Sparklines of `thinkless watch`."""

from __future__ import annotations

import pytest

from flows.learning_picture import WIDTH, sparkline


@pytest.mark.parametrize(
    ("values", "limits", "drawn"),
    [
        ([0.0, 0.5, 1.0], None, "▁▅█"),
        ([3.0], None, "▁"),
        ([2.0, 2.0], None, "▁▁"),
        ([0.5, 0.6], (0.0, 1.0), "▅▅"),
        ([-1.0, 2.0], (0.0, 1.0), "▁█"),
    ],
)
def test_a_sparkline_is_drawn_between_its_limits(
    values: list[float], limits: tuple[float, float] | None, drawn: str
) -> None:
    assert sparkline(values, limits=limits) == drawn


@pytest.mark.parametrize("num_values", [WIDTH, WIDTH + 1, 1000])
def test_a_long_curve_is_averaged_into_the_width(num_values: int) -> None:
    line = sparkline([float(n) for n in range(num_values)])
    assert len(line) == WIDTH
    assert list(line) == sorted(line)
