"""Statistics and schedules in loops over plain Python floats."""

from __future__ import annotations

import math
from collections.abc import Sequence


def clustered_stderr(scores: Sequence[tuple[str, float]]) -> float:
    """Cluster-robust standard error of the mean, summed over all pairs inside a cluster (arXiv 2411.00640, eq. 4)."""
    n = len(scores)
    mean = sum(score for _, score in scores) / n
    total = 0.0
    for cluster, score in scores:
        for other_cluster, other in scores:
            if cluster == other_cluster:
                total += (score - mean) * (other - mean)
    num_clusters = len({cluster for cluster, _ in scores})
    if num_clusters == 1:
        return 0.0
    return math.sqrt(total * num_clusters / (num_clusters - 1)) / n


def learning_rates(
    *, peak: float, num_steps: int, warmup_steps: int, decay_fraction: float, final_fraction: float
) -> list[float]:
    """The rate of steps 1, 2, ...: up from 0, level, and down a straight line that ends with the last step.

    The line goes from the peak, where the decay begins, to `final_fraction` of it at step `num_steps`.
    """
    rates = []
    begin = num_steps - decay_fraction * num_steps
    for step in range(1, num_steps + 1):
        rate = peak
        if step > begin:
            travelled = (step - begin) / (num_steps - begin)
            rate = (1 - travelled) * peak + travelled * final_fraction * peak
        if step < warmup_steps:
            rate = rate * step / warmup_steps
        rates.append(rate)
    return rates


def chi_square(observed: Sequence[int], expected: Sequence[float]) -> tuple[float, int]:
    """Pearson's statistic over cells with at least 5 expected (the rest as one cell), and its degrees of freedom."""
    cells = [(o, e) for o, e in zip(observed, expected, strict=True) if e >= 5]
    rest = sum(observed) - sum(o for o, _ in cells), sum(expected) - sum(e for _, e in cells)
    if rest[1] >= 5:
        cells.append(rest)
    statistic = 0.0
    for seen, due in cells:
        statistic += (seen - due) ** 2 / due
    return statistic, len(cells) - 1


def area_under_curve(tokens: Sequence[float], accuracy: Sequence[float]) -> float:
    """Mean of A(t), the best accuracy for t tokens, from the cheapest to the dearest point; points in any order.

    The best accuracy so far, straight lines between neighbours; a curve without width: its best accuracy.
    """
    points: list[tuple[float, float]] = []
    for spent in sorted(set(tokens)):
        points.append((spent, max(a for t, a in zip(tokens, accuracy, strict=True) if t <= spent)))
    if len(points) == 1:
        return points[0][1]
    area = 0.0
    for i in range(1, len(points)):
        area += (points[i][0] - points[i - 1][0]) * (points[i][1] + points[i - 1][1]) / 2
    return area / (points[-1][0] - points[0][0])


def mode_per_group(
    groups: Sequence[object],
    short: Sequence[tuple[Sequence[bool], Sequence[int]]],
    think: Sequence[tuple[Sequence[bool], Sequence[int]]],
) -> list[bool]:
    """Whether each problem's group is thought about: right answers and tokens of all samples, counted.

    short, think: of each problem, whether every sample is right, and its tokens; equally many samples everywhere.
    """
    thinks = []
    for group in groups:
        right, tokens = [0, 0], [0, 0]
        for other, *modes in zip(groups, short, think, strict=True):
            if other == group:
                for mode, (correct, spent) in enumerate(modes):
                    right[mode] += sum(correct)
                    tokens[mode] += sum(spent)
        thinks.append(right[1] > right[0] or (right[1] == right[0] and tokens[1] < tokens[0]))
    return thinks
