"""Pictures of training: losses of the warm-up, and how the choice of mode moved in RL, step by step."""

from __future__ import annotations

import re
from collections.abc import Mapping

from infra.report.charts.figures import COLORS, INK, MUTED, RAMP, SERIES, SERIES_STYLES, Chart
from infra.report.charts.line_charts import Line, line_chart
from infra.report.charts.task_charts import probe_task_chart
from infra.report.charts.u_curve import u_curve_chart
from infra.report.data.evidence import Evidence
from infra.report.data.evidence_rows import Series


def warmup_charts(sft: Mapping[str, Series]) -> tuple[Chart, ...]:
    """Loss on training and validation pairs, and on either side of the pairs."""
    return (
        line_chart(
            "sft-loss",
            "Loss, training and validation",
            "Per completion token. A validation loss that turns up while the training loss falls is overfitting.",
            [Line("loss", "training", COLORS["sft"]), Line("validation_loss", "validation", INK, "--")],
            sft,
            y_label="loss",
        ),
        line_chart(
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
    return (
        u_curve_chart(rl, evidence.rollout_counts, evidence.guard_events),
        line_chart(
            "rl-share",
            "Think share and accuracy",
            "Of all rollouts of a step. Think share should fall only as far as accuracy allows.",
            [Line("accuracy", "accuracy", COLORS["rl"]), Line("think_share", "think", COLORS["think"], "--")],
            rl,
            y_label="share of rollouts",
            shares=True,
        ),
        line_chart(
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
        line_chart(
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
        line_chart(
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
        *_schedules(rl),
    )


def _schedules(rl: Mapping[str, Series]) -> tuple[Chart, ...]:
    """Settings that changed over the steps; no chart where none did."""
    names = sorted(name for name in rl if name.startswith("schedule/"))
    if not names:
        return ()
    lines = [
        Line(name, name.partition("/")[2], SERIES[index % len(SERIES)], SERIES_STYLES[index % len(SERIES_STYLES)])
        for index, name in enumerate(names)
    ]
    caption = "Settings that follow the step instead of being fixed."
    return (line_chart("rl-schedules", "Schedules", caption, lines, rl, y_label="value"),)


def probe_chart(rl: Mapping[str, Series]) -> Chart:
    """P(think) on the fixed probe problems over RL steps: by task and level, or one line per difficulty."""
    by_task = probe_task_chart(rl)
    if by_task is not None:
        return by_task
    by_difficulty = sorted(
        (int(match.group(1)), name) for name in rl if (match := re.fullmatch(r"probe_p_think/difficulty_(\d+)", name))
    )
    last = max(len(by_difficulty) - 1, 1)
    lines = [
        Line(name, f"level {difficulty}", RAMP[round(index * (len(RAMP) - 1) / last)], "-")
        for index, (difficulty, name) in enumerate(by_difficulty)
    ]
    return line_chart(
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
