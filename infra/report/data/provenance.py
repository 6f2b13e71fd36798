"""Origin of the numbers, from the manifests: rows by stage, checks by suite, versions by stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from infra.report.data.inputs import ReportInputs
from schemas.artifact import CheckResult


class FunnelRow(NamedTuple):
    """One stage of the data funnel."""

    stage: str
    """With its side if the stage is `teach`."""
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


def funnel_rows(inputs: ReportInputs) -> tuple[FunnelRow, ...]:
    """Stages that hold rows or counted some."""
    most = max((m.rows for m in inputs.manifests), default=0) or 1
    rows = []
    for manifest in inputs.ordered_manifests():
        drops = tuple(sorted(manifest.drops.items(), key=lambda item: (-item[1], item[0])))
        if manifest.rows or any(manifest.drops.values()):
            rows.append(FunnelRow(manifest.label, manifest.rows, drops, manifest.rows / most))
    return tuple(rows)


def kept_stages(inputs: ReportInputs) -> tuple[str, ...]:
    """Artifacts that something here was made from although the sources of their stage had changed (--keep)."""
    kept = {(ref.stage, ref.key) for manifest in inputs.manifests for ref in manifest.inputs if ref.kept}
    labels = {(manifest.stage, manifest.key): manifest.label for manifest in inputs.manifests}
    return tuple(f"{labels.get(name, name[0])} {name[1][:8]}" for name in sorted(kept))


def validation_suites(inputs: ReportInputs) -> tuple[SuiteResult, ...]:
    """Checks of every manifest by suite, each with the link to its data docs."""
    results = []
    for manifest in inputs.ordered_manifests():
        for suite in sorted({check.suite for check in manifest.checks}):
            checks = tuple(check for check in manifest.checks if check.suite == suite)
            failed = tuple(check for check in checks if not check.success)
            results.append(
                SuiteResult(
                    suite=suite,
                    stage=manifest.label,
                    passed=len(checks) - len(failed),
                    failed=failed,
                    checks=checks,
                    link=inputs.validation_docs.get((manifest.key, suite)),
                )
            )
    return tuple(results)


def versions_by_stage(by_stage: Mapping[str, Mapping[str, str]]) -> tuple[Versions, ...]:
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
