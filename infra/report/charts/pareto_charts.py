"""Accuracy over tokens as a bias on the think logit sweeps from always short to always think, before and after RL.

eval_pareto -> one curve per model with a 95% interval; eval_routers -> oracle and random router beside it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infra.report.charts.behaviour_charts import COMPARED, NAMES
from infra.report.charts.cost_charts import percent_axis_ticks, percent_floor, token_axis
from infra.report.charts.figures import COLORS, INK, MARKERS, MUTED, Chart, draw
from infra.report.data.evidence import Evidence
from infra.report.data.verdicts import SOLVED_SHARE
from infra.report.data.wording import accuracy, percent, tokens
from schemas.records.eval_pareto import ParetoPoint
from schemas.records.eval_routers import RouterScore

Z = 1.96
"""Standard errors to either side of a 95% interval."""
TOLERATED_LOSS = 0.01
"""How much accuracy the cheapest setting may give up against the best one on its curve."""


def pareto_chart(evidence: Evidence, benchmark: str, index: int) -> Chart:
    """The curves of one benchmark; the filled dot is the model as it is, without a bias."""
    name, title = f"pareto-{index}", benchmark
    curves = {model: [p for p in evidence.pareto if (p.model, p.benchmark) == (model, benchmark)] for model in COMPARED}
    curves = {model: points for model, points in curves.items() if points}
    marks = [
        r
        for r in evidence.routers
        if (r.model, r.benchmark) == (evidence.subject, benchmark) and r.router in ("oracle", "random")
    ]

    def plot(axes: Any) -> None:
        token_axis(axes, [p.mean_tokens for points in curves.values() for p in points] + [r.mean_tokens for r in marks])
        low = min([p.accuracy - Z * p.accuracy_stderr for points in curves.values() for p in points] + [1.0])
        floor = percent_floor(low)
        axes.set_ylim(floor - 0.05 * (1 - floor), 1.0 + 0.08 * (1 - floor))
        percent_axis_ticks(axes, floor=floor)
        axes.set_title("accuracy")
        for model, points in curves.items():
            _curve(axes, model, points)
        for mark in marks:
            _mark(axes, mark)
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles, labels, loc="best", frameon=False, handlelength=2.2, labelcolor=INK)

    about = [
        f"{NAMES[model]}: " + ", ".join(f"{accuracy(p.accuracy)} at {tokens(p.mean_tokens)} tokens" for p in points)
        for model, points in curves.items()
    ] + [f"{r.router} router: {accuracy(r.accuracy)} at {tokens(r.mean_tokens)} tokens" for r in marks]
    svg = draw(name, plot, title=f"Accuracy over tokens, {title}", description="; ".join(about) + ".", height=300)
    return Chart(name, title, caption(curves), svg)


def cheapest_point(points: Sequence[ParetoPoint]) -> ParetoPoint:
    """The point with fewest tokens among those within `TOLERATED_LOSS` of the curve's best accuracy."""
    best = max(p.accuracy for p in points)
    good = [p for p in points if p.accuracy >= best - TOLERATED_LOSS - 1e-9]
    return min(good, key=lambda p: (p.mean_tokens, abs(p.think_bias)))


def _curve(axes: Any, model: str, points: Sequence[ParetoPoint]) -> None:
    ordered = sorted(points, key=lambda p: (p.mean_tokens, p.accuracy, p.think_bias))
    x = [p.mean_tokens for p in ordered]
    y = [p.accuracy for p in ordered]
    errors = [Z * p.accuracy_stderr for p in ordered]
    low = [v - e for v, e in zip(y, errors, strict=True)]
    high = [min(v + e, 1.0) for v, e in zip(y, errors, strict=True)]
    style = "-" if model == "rl" else "--"
    axes.fill_between(x, low, high, color=COLORS[model], alpha=0.13, linewidth=0)
    axes.plot(
        x, y, color=COLORS[model], linestyle=style, marker=MARKERS[model], markersize=3.4, lw=1.6, label=NAMES[model]
    )
    here = next((p for p in ordered if p.think_bias == 0), None)
    if here is not None:
        axes.plot(here.mean_tokens, here.accuracy, marker=MARKERS[model], markersize=9, color=COLORS[model])


def _mark(axes: Any, router: RouterScore) -> None:
    star = router.router == "oracle"
    axes.errorbar(
        router.mean_tokens,
        router.accuracy,
        xerr=Z * router.mean_tokens_stderr,
        yerr=Z * router.accuracy_stderr,
        color=INK if star else MUTED,
        lw=1,
        capsize=2,
        fmt="none",
    )
    axes.plot(
        router.mean_tokens,
        router.accuracy,
        marker="*" if star else "X",
        markersize=12 if star else 7,
        color=INK if star else MUTED,
        markeredgewidth=0,
        linestyle="none",
        label=router.router,
    )


def caption(curves: Mapping[str, Sequence[ParetoPoint]]) -> str:
    """What the last of the curves says about the cheapest bias."""
    if not curves:
        return ""
    model, points = list(curves.items())[-1]
    best = cheapest_point(points)
    if max(point.accuracy for point in points) < SOLVED_SHARE:
        return f"{NAMES[model]} solves nearly nothing at any bias, so none is better than another."
    return (
        f"Within one point of its best accuracy, {NAMES[model]} is cheapest at a bias of {best.think_bias:+g}: "
        f"{accuracy(best.accuracy)} at {tokens(best.mean_tokens)} tokens, thinking on {percent(best.think_share)}."
    )
