"""The HTML report: one file without scripts, network or dates of its own.

ReportInputs -> Evidence -> verdicts, charts, tables -> template.html.j2 + style.css -> str
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple

from infra.report import wording
from infra.report.behaviour_charts import NAMES, cost_chart, difficulty_charts
from infra.report.evidence import Evidence, gather_evidence
from infra.report.figures import Chart
from infra.report.inputs import ReportInputs
from infra.report.lineage_graph import lineage_svg
from infra.report.training_charts import probe_chart, reinforcement_charts, warmup_charts
from infra.report.verdicts import LOST_ACCURACY, NUM_ERRORS, SAVED_SHARE, UNDECIDED_STDERR, headline, judge_benchmarks
from schemas.artifact import CheckResult

SECTIONS = {
    "learned": "What was learned",
    "results": "All results",
    "routing": "When it thinks",
    "cost": "What it costs",
    "reinforcement": "How RL got there",
    "warmup": "Warm-up",
    "examples": "Examples",
    "data": "Where the data went",
    "checks": "Validation",
    "lineage": "Lineage",
    "reproduce": "Reproducibility",
}
"""Identifier -> heading, in the order of the page."""

_MARKS = {"good": "✓", "warn": "!", "bad": "✗", "unknown": "?"}


class FunnelRow(NamedTuple):
    """One stage of the data funnel."""

    stage: str
    rows: int
    drops: tuple[tuple[str, int], ...]
    share: float
    """Rows over those of the stage with most: the length of the bar."""


@dataclass(frozen=True)
class SuiteResult:
    """One validation suite of one stage."""

    suite: str
    stage: str
    passed: int
    failed: tuple[CheckResult, ...]
    checks: tuple[CheckResult, ...]
    link: str | None


class Versions(NamedTuple):
    """One package or property of the environment, and its value by stage where stages differ."""

    name: str
    value: str


def render_report(inputs: ReportInputs) -> str:
    """The whole page as text; the same inputs give the same bytes.

    Raises MissingArtifactError where a table's file is absent and EvaluationError where nothing was evaluated.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    evidence = gather_evidence(inputs)
    package = files("infra.report")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    for name in ("percent", "signed_percent", "tokens", "accuracy", "signed", "count", "seconds", "shortened"):
        environment.filters[name] = getattr(wording, name)
    template = environment.from_string(package.joinpath("template.html.j2").read_text(encoding="utf-8"))
    lineage = lineage_svg(inputs.ordered_manifests())
    return template.render(
        style=Markup(package.joinpath("style.css").read_text(encoding="utf-8")),
        trusted=Markup,
        inputs=inputs,
        evidence=evidence,
        sections=SECTIONS,
        marks=_MARKS,
        names=NAMES,
        rules={
            "errors": f"{NUM_ERRORS:g}",
            "lost": f"{LOST_ACCURACY:g}",
            "saved": wording.percent(SAVED_SHARE),
            "undecided": f"{UNDECIDED_STDERR:g}",
        },
        headline=headline(evidence),
        verdicts=judge_benchmarks(evidence),
        charts=_charts(evidence),
        funnel=_funnel(inputs),
        suites=validation_suites(inputs),
        lineage=lineage,
        manifests=inputs.ordered_manifests(),
        configs={m.key: json.dumps(m.config, indent=2, ensure_ascii=False) for m in inputs.manifests},
        packages=_versions({m.stage: m.packages for m in inputs.ordered_manifests()}),
        environment=_versions({m.stage: m.environment for m in inputs.ordered_manifests()}),
    )


def _charts(evidence: Evidence) -> dict[str, tuple[Chart, ...]]:
    """Charts by section."""
    return {
        "routing": (*difficulty_charts(evidence), probe_chart(evidence.rl)),
        "cost": tuple(cost_chart(evidence, b, index) for index, b in enumerate(evidence.benchmarks)),
        "reinforcement": reinforcement_charts(evidence),
        "warmup": warmup_charts(evidence.sft),
    }


def _funnel(inputs: ReportInputs) -> tuple[FunnelRow, ...]:
    """Stages that hold rows or counted some."""
    most = max((m.rows for m in inputs.manifests), default=0) or 1
    rows = []
    for manifest in inputs.ordered_manifests():
        drops = tuple(sorted(manifest.drops.items(), key=lambda item: (-item[1], item[0])))
        if manifest.rows or any(manifest.drops.values()):
            rows.append(FunnelRow(manifest.stage, manifest.rows, drops, manifest.rows / most))
    return tuple(rows)


def validation_suites(inputs: ReportInputs) -> tuple[SuiteResult, ...]:
    """Checks of every manifest by suite, with the link to the data docs of the suite's table."""
    results = []
    for manifest in inputs.ordered_manifests():
        for suite in sorted({check.suite for check in manifest.checks}):
            checks = tuple(check for check in manifest.checks if check.suite == suite)
            failed = tuple(check for check in checks if not check.success)
            results.append(
                SuiteResult(
                    suite=suite,
                    stage=manifest.stage,
                    passed=len(checks) - len(failed),
                    failed=failed,
                    checks=checks,
                    link=_docs_link(suite, inputs.validation_docs),
                )
            )
    return tuple(results)


def _docs_link(suite: str, docs: Mapping[str, str]) -> str | None:
    """The docs of the table a suite is named after: `pairs`, `pairs.contract` and `pairs/1` all mean `pairs`."""
    table = next((t for t in docs if suite == t or suite.startswith((f"{t}.", f"{t}/", f"{t}:"))), None)
    return None if table is None else docs[table]


def _versions(by_stage: Mapping[str, Mapping[str, str]]) -> tuple[Versions, ...]:
    """Each name with its one value, or with the value of every stage where they differ."""
    rows = []
    for name in sorted({name for values in by_stage.values() for name in values}):
        stages: dict[str, list[str]] = {}
        for stage, values in by_stage.items():
            if name in values:
                stages.setdefault(values[name], []).append(stage)
        if len(stages) == 1:
            rows.append(Versions(name, next(iter(stages))))
        else:
            text = "; ".join(f"{value} ({', '.join(members)})" for value, members in stages.items())
            rows.append(Versions(name, text))
    return tuple(rows)
