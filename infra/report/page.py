"""The HTML report: one file that loads nothing, whose only script filters the examples.

ReportInputs -> Evidence -> verdicts, charts, tables -> report.html.j2 + style.css + browser.js -> str
"""

from __future__ import annotations

import json

from infra.report.charts.behaviour_charts import COMPARED, NAMES, difficulty_charts
from infra.report.charts.cost_charts import cost_chart
from infra.report.charts.figures import Chart
from infra.report.charts.lineage_graph import lineage_svg
from infra.report.charts.pareto_charts import pareto_chart
from infra.report.charts.training_charts import probe_chart, reinforcement_charts, warmup_charts
from infra.report.data import wording
from infra.report.data.answers import answers
from infra.report.data.evidence import MOST_DROPPED, Evidence, gather_evidence
from infra.report.data.examples import TRAINING, browser_json
from infra.report.data.inputs import ReportInputs
from infra.report.data.provenance import funnel_rows, kept_stages, validation_suites, versions_by_stage
from infra.report.data.router_tables import router_tables
from infra.report.data.task_tables import ROUTERS, task_tables
from infra.report.data.verdicts import (
    LOST_ACCURACY,
    NUM_ERRORS,
    SAVED_SHARE,
    SOLVED_SHARE,
    UNDECIDED_STDERR,
    headline,
    judge_benchmarks,
)
from infra.report.templates import render, script_policy, source

SECTIONS = {
    "learned": "What was learned",
    "results": "All results",
    "routing": "When it thinks",
    "cost": "What it costs",
    "routers": "How well it chooses",
    "graders": "Two graders",
    "reinforcement": "How RL got there",
    "warmup": "Warm-up",
    "mistakes": "What it still gets wrong",
    "examples": "Examples",
    "data": "Where the data went",
    "checks": "Validation",
    "lineage": "Lineage",
    "reproduce": "Reproducibility",
}
"""Identifier -> heading, in the order of the page."""

MARKS = {"good": "✓", "warn": "!", "bad": "✗", "unknown": "?"}

VERDICT_FILTERS = {
    "right": "right in auto mode, every sample",
    "wrong": "wrong in auto mode, some sample",
    "needs-thinking": "only thinking is right",
    "either": "short and thinking are right",
    "thinking-hurts": "only short is right",
    "neither": "neither mode is right",
    "graders-disagree": "the graders disagree",
}
"""Value of the filter, as in a link -> its meaning."""


def render_report(inputs: ReportInputs) -> str:
    """The whole page as text; the same inputs give the same bytes.

    Raises MissingArtifactError if a file that is named is absent and EvaluationError if an evaluation is empty.
    """
    evidence = gather_evidence(inputs)
    data, num_browsed = browser_json(evidence.examples)
    script = source("browser.js") if evidence.examples else ""
    manifests = inputs.ordered_manifests()
    browsed = evidence.examples[:num_browsed]
    return render(
        "report.html.j2",
        title=inputs.title,
        inputs=inputs,
        evidence=evidence,
        sections=SECTIONS,
        marks=MARKS,
        names=NAMES,
        rules={
            "errors": f"{NUM_ERRORS:g}",
            "lost": f"{LOST_ACCURACY:g}",
            "solved": wording.percent(SOLVED_SHARE),
            "saved": wording.percent(SAVED_SHARE),
            "undecided": f"{UNDECIDED_STDERR:g}",
        },
        headline=headline(evidence),
        verdicts=judge_benchmarks(evidence),
        answers=answers(evidence, manifests),
        charts=_charts(evidence),
        routers=router_tables(evidence),
        by_task=task_tables(evidence),
        task_routers=ROUTERS,
        policy=script_policy(script),
        script=script,
        browser_data=data,
        num_browsed=num_browsed,
        training=TRAINING,
        choices={
            "sources": list(dict.fromkeys(e.source for e in browsed)),
            "tasks": sorted({e.task for e in browsed if e.task is not None}),
            "difficulties": sorted({e.difficulty for e in browsed if e.difficulty is not None}),
            "chosen": [mode for mode in ("short", "think", "malformed") if any(e.chosen == mode for e in browsed)],
            "verdicts": {v: words for v, words in VERDICT_FILTERS.items() if any(v in e.tags for e in browsed)},
        },
        funnel=funnel_rows(inputs),
        most_dropped=MOST_DROPPED,
        kept=kept_stages(inputs),
        suites=validation_suites(inputs),
        lineage=lineage_svg(manifests),
        manifests=manifests,
        configs={m.key: json.dumps(m.config, indent=2, ensure_ascii=False) for m in inputs.manifests},
        packages=versions_by_stage({m.label: m.packages for m in manifests}),
        environment=versions_by_stage({m.label: m.environment for m in manifests}),
    )


def _charts(evidence: Evidence) -> dict[str, tuple[Chart, ...]]:
    """Charts by section."""
    swept = {point.benchmark for point in evidence.pareto if point.model in COMPARED}
    return {
        "routing": (*difficulty_charts(evidence), probe_chart(evidence.rl)),
        "cost": tuple(cost_chart(evidence, b, index) for index, b in enumerate(evidence.benchmarks)),
        "pareto": tuple(pareto_chart(evidence, b, index) for index, b in enumerate(evidence.benchmarks) if b in swept),
        "reinforcement": reinforcement_charts(evidence),
        "warmup": warmup_charts(evidence.sft),
    }
