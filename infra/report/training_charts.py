"""Pictures of training: losses of the warm-up, and how the choice of mode moved in RL, step by step."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from infra.report.evidence import Evidence, Series
from infra.report.figures import (
    COLORS,
    INK,
    MUTED,
    RAMP,
    Chart,
    EndLabel,
    draw,
    label_ends,
    missing_chart,
    percent_axis,
)
from infra.report.wording import accuracy

SMOOTH_FROM = 40
"""Shortest series drawn with a moving mean on top."""


class Line(NamedTuple):
    """One metric as one line."""

    metric: str
    label: str
    color: str
    style: str = "-"


def warmup_charts(sft: Mapping[str, Series]) -> tuple[Chart, ...]:
    """Loss on training and validation pairs, and on either side of the pairs."""
    return (
        _lines(
            "sft-loss",
            "Loss, training and validation",
            "Per completion token. A validation loss that turns up while the training loss falls is overfitting.",
            [Line("loss", "training", COLORS["sft"]), Line("validation_loss", "validation", INK, "--")],
            sft,
            y_label="loss",
        ),
        _lines(
            "sft-sides",
            "Loss of either side",
            "Both answers of every pair are learned side by side. A short side that stays high is expected: "
            "some answers cannot be guessed without working them out.",
            [
                Line("think_loss", "think", COLORS["think"]),
                Line("short_loss", "short", COLORS["short"], "--"),
            ],
            sft,
            y_label="loss",
        ),
    )


def reinforcement_charts(evidence: Evidence) -> tuple[Chart, ...]:
    """Think share, accuracy, count of think rollouts, length, and the ways in which RL goes wrong."""
    rl = evidence.rl
    counts = evidence.rollout_counts
    rollouts: dict[str, Series] = {}
    if counts:
        rollouts = {
            "think": tuple((c.step, float(c.think)) for c in counts),
            "short": tuple((c.step, float(c.short)) for c in counts),
            "malformed": tuple((c.step, float(c.malformed)) for c in counts),
        }
    return (
        _lines(
            "rl-share",
            "Think share and accuracy",
            "Of all rollouts of a step. Think share should fall only as far as accuracy allows.",
            [Line("accuracy", "accuracy", COLORS["rl"]), Line("think_share", "think", COLORS["think"], "--")],
            rl,
            y_label="share of rollouts",
            shares=True,
        ),
        _lines(
            "rl-modes",
            "Accuracy of each mode",
            "Short accuracy rises when hard problems move to thinking; think accuracy may fall late, because only "
            "hard ones are left to it.",
            [
                Line("think_accuracy", "think", COLORS["think"]),
                Line("short_accuracy", "short", COLORS["short"], "--"),
            ],
            rl,
            y_label="accuracy within the mode",
            shares=True,
        ),
        _lines(
            "rl-rollouts",
            "Rollouts by mode",
            "The count of think rollouts is expected to rise and then fall. One mode near zero early on, and "
            "staying there, is a collapse.",
            [
                Line("think", "think", COLORS["think"]),
                Line("short", "short", COLORS["short"], "--"),
                *([Line("malformed", "malformed", INK, ":")] if any(c.malformed for c in counts) else []),
            ],
            rollouts,
            y_label="rollouts per step",
            source="rollouts",
        ),
        _lines(
            "rl-tokens",
            "Tokens of each mode",
            "Mean tokens generated, control and end token included.",
            [
                Line("think_tokens", "think", COLORS["think"]),
                Line("short_tokens", "short", COLORS["short"], "--"),
                Line("mean_tokens", "all", COLORS["auto"], "-."),
            ],
            rl,
            y_label="tokens",
        ),
        _lines(
            "rl-trouble",
            "Ways to go wrong",
            "Zero variance: groups in which all rollouts earn the same, so that nothing is learned from them. "
            "Fake short: a short answer that hides a chain of thought.",
            [
                Line("zero_variance_share", "no variance", MUTED),
                Line("truncated_share", "truncated", COLORS["think"], "--"),
                Line("fake_short_share", "fake short", COLORS["short"], "-."),
                Line("malformed_share", "malformed", INK, ":"),
            ],
            rl,
            y_label="share",
            shares=True,
        ),
        _lines(
            "rl-entropy",
            "Entropy and distance",
            "Entropy of the control token, in nats, is 0.69 for an even choice and 0 for a settled one. KL is the "
            "distance to the warm-up model.",
            [
                Line("control_entropy", "control", COLORS["rl"]),
                Line("entropy", "all tokens", MUTED, "--"),
                Line("kl", "KL", INK, ":"),
            ],
            rl,
            y_label="nats per token",
        ),
    )


def probe_chart(rl: Mapping[str, Series]) -> Chart:
    """P(think) on the fixed probe problems over RL steps, one line per difficulty."""
    by_difficulty = sorted(
        (int(match.group(1)), name) for name in rl if (match := re.fullmatch(r"probe_p_think/difficulty_(\d+)", name))
    )
    last = max(len(by_difficulty) - 1, 1)
    lines = [
        Line(name, f"level {difficulty}", RAMP[round(index * (len(RAMP) - 1) / last)], "-")
        for index, (difficulty, name) in enumerate(by_difficulty)
    ]
    return _lines(
        "probe",
        "P(think) over RL steps",
        "Read exactly, on the same problems at every reading; step 0 is the warm-up model. Level: the "
        "difficulty of the problem.",
        lines or [Line("probe_p_think", "all", COLORS["rl"])],
        rl,
        y_label="P(think)",
        shares=True,
        markers=True,
    )


def _lines(
    name: str,
    title: str,
    caption: str,
    lines: Sequence[Line],
    data: Mapping[str, Series],
    *,
    y_label: str,
    shares: bool = False,
    markers: bool = False,
    source: str = "metrics",
) -> Chart:
    """Metrics over steps; those that were not logged are named in the caption, and if all were not, instead of it."""
    present = [line for line in lines if data.get(line.metric)]
    absent = ", ".join(line.metric for line in lines if not data.get(line.metric))
    if not present:
        return missing_chart(name, title, f"Nothing to draw: the {source} hold no {absent}.")

    def plot(axes: Any) -> None:
        for line in present:
            steps = [step for step, _ in data[line.metric]]
            values = [value for _, value in data[line.metric]]
            smooth = _moving_mean(values, _window(data[line.metric]) if not markers else 1)
            if smooth != values:
                axes.plot(steps, values, color=line.color, alpha=0.28, linewidth=0.9)
            dot = "o" if markers or len(values) < 3 else None
            axes.plot(steps, smooth, color=line.color, linestyle=line.style, marker=dot, markersize=3.2)
        axes.set_xlabel("step")
        axes.set_title(y_label)
        axes.margins(x=0.01)
        axes.locator_params(axis="x", nbins=6, integer=True)
        if shares:
            percent_axis(axes)
        else:
            _value_axis(axes, [v for line in present for _, v in data[line.metric]])
        ends = [EndLabel(_moving_end(data[line.metric], markers), line.label, line.color) for line in present]
        label_ends(axes, ends)

    notes = [caption]
    if absent:
        notes.append(f"Not logged: {absent}.")
    widest = max(len(line.label) for line in present)
    svg = draw(name, plot, title=title, description=_described(present, data), right=round(20 + 6.3 * widest))
    return Chart(name, title, " ".join(notes), svg)


def _value_axis(axes: Any, values: Sequence[float]) -> None:
    """Logarithmic where positive values span more than a factor of 30, else linear from zero."""
    if min(values) > 0 and max(values) / min(values) > 30:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(lambda _value, _: "")
        return
    low, high = min(0.0, min(values)), max(values)
    room = 0.04 * ((high - low) or 1.0)
    axes.set_ylim(low - room if low < 0 else 0 - room / 2, high + room)


def _window(series: Series) -> int:
    """Steps in the moving mean: an odd 4% of the series, 1 for a short one."""
    return 1 if len(series) < SMOOTH_FROM else 2 * (len(series) // 50) + 1


def _moving_mean(values: Sequence[float], window: int) -> list[float]:
    """Centred mean; near the ends over the part of the window that exists."""
    half = window // 2
    means = []
    for index in range(len(values)):
        part = values[max(index - half, 0) : index + half + 1]
        means.append(sum(part) / len(part))
    return means


def _moving_end(series: Series, markers: bool) -> float:
    values = [value for _, value in series]
    return _moving_mean(values, 1 if markers else _window(series))[-1]


def _described(lines: Sequence[Line], data: Mapping[str, Series]) -> str:
    """The picture in words: where each line starts and ends."""
    parts = []
    for line in lines:
        (first_step, first), (last_step, last) = data[line.metric][0], data[line.metric][-1]
        parts.append(f"{line.label}: {accuracy(first)} at step {first_step}, {accuracy(last)} at step {last_step}")
    return "; ".join(parts) + "."
