"""The page of a study: its claims as measured, and the pictures behind them; one file without scripts or network.

study_{claims,curves,pareto,members}.parquet -> StudyEvidence per study -> charts -> study.html.j2 -> str
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from infra.report.charts.figures import Chart
from infra.report.charts.study_charts import condition_charts, sweep_charts
from infra.report.charts.study_pareto_charts import objective_charts
from infra.report.data.study_claim_groups import MeasuredClaim, measured_claims
from infra.report.data.study_evidence import StudyEvidence, overrides_in, read_studies, sweeps
from infra.report.data.wording import counted, listing
from infra.report.templates import render, script_policy

TONES = {"holds": ("good", "✓"), "fails": ("bad", "✗"), "undecided": ("unknown", "?")}
"""Verdict -> tone and mark."""


class MemberRow(NamedTuple):
    """One condition and its runs."""

    condition: str
    seeds: tuple[int, ...]
    overrides: tuple[str, ...]
    """Of its first run, each as KEY=VALUE."""


@dataclass(frozen=True)
class StudySection:
    """One study with all its pictures; what has no data is empty."""

    identifier: str
    study: str
    counts: tuple[Chart, ...]
    sweeps: tuple[Chart, ...]
    objectives: tuple[Chart, ...]
    members: tuple[MemberRow, ...]


def render_study_page(folder: Path, *, profile: str, created_at: str) -> str:
    """The whole page as text; sections appear only where there is data, and the same arguments give the same bytes.

    profile: what the runs were made with; created_at: UTC, ISO 8601. Raises MissingArtifactError if the folder holds no
    table of a study.
    """
    studies = read_studies(folder)
    sections = [_section(evidence, index) for index, evidence in enumerate(studies)]
    claims = [claim for evidence in studies for claim in measured_claims(evidence.claims)]
    names = [evidence.study for evidence in studies]
    linked = {"claims": "Claims"} if claims else {}
    for section in sections:
        parts = {"counts": "Choice of mode", "sweeps": "Sweeps", "objectives": "Accuracy and tokens", "members": "Runs"}
        for part, words in parts.items():
            if getattr(section, part):
                linked[f"{section.identifier}-{part}"] = words if len(sections) == 1 else f"{section.study}: {words}"
    return render(
        "study.html.j2",
        title=f"Study {listing(names)}" if names else "An empty study",
        policy=script_policy(""),
        profile=profile,
        created_at=created_at,
        seeds=sorted({member.seed for evidence in studies for member in evidence.members}),
        num_runs=sum(len(evidence.members) for evidence in studies),
        sections=linked,
        headline=_headline(claims),
        claims=claims,
        tones=TONES,
        studies=sections,
    )


def _section(evidence: StudyEvidence, index: int) -> StudySection:
    identifier = f"study-{index}"
    swept = [
        chart
        for number, sweep in enumerate(sweeps(evidence.members))
        for chart in sweep_charts(evidence, sweep, prefix=f"{identifier}-sweep-{number}")
    ]
    by_condition: dict[str, list[int]] = {}
    overrides: dict[str, str] = {}
    for member in evidence.members:
        by_condition.setdefault(member.condition, []).append(member.seed)
        overrides.setdefault(member.condition, member.overrides)
    return StudySection(
        identifier=identifier,
        study=evidence.study,
        counts=condition_charts(evidence, prefix=identifier),
        sweeps=tuple(swept),
        objectives=objective_charts(evidence, prefix=identifier),
        members=tuple(
            MemberRow(condition, tuple(sorted(seeds)), overrides_in(overrides[condition]))
            for condition, seeds in by_condition.items()
        ),
    )


def _headline(claims: Sequence[MeasuredClaim]) -> str:
    """How many claims came out how, in a sentence; empty without claims."""
    if not claims:
        return ""
    counts: Counter[str] = Counter(claim.verdict for claim in claims)
    parts = [
        f"{counts[verdict]} {words[0] if counts[verdict] == 1 else words[1]}"
        for verdict, words in {
            "holds": ("holds", "hold"),
            "fails": ("fails", "fail"),
            "undecided": ("is undecided", "are undecided"),
        }.items()
        if counts[verdict]
    ]
    return f"Of {counted(len(claims), 'claim')} {listing(parts)}."
