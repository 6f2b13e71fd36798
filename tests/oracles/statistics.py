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
    """The rate of every step: warm-up from 0, constant, then straight from the peak towards its final fraction."""
    rates = []
    decay_steps = decay_fraction * num_steps
    for done in range(num_steps):
        rate = peak
        if done + 1 < warmup_steps:
            rate *= (done + 1) / warmup_steps
        into_decay = done - (num_steps - decay_steps)
        if into_decay > 0:
            rate *= 1 - (1 - final_fraction) * into_decay / decay_steps
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
