"""Reads what the runs of a study measured, grouped by condition and seed.

study_{members,pareto,curves,claims}.parquet -> records -> StudyEvidence -> study_charts.py, study_page.py
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from infra.report.data.evidence_rows import Series
from infra.report.data.in_memory_tables import connect, read_rows
from schemas.base import Record
from schemas.errors import MissingArtifactError
from schemas.records.study_claims import StudyClaim
from schemas.records.study_curves import StudyCurve
from schemas.records.study_members import StudyMember
from schemas.records.study_pareto import StudyPareto
from thinkless_core.statistics.intervals import Interval, interval_over_seeds

TABLES: dict[str, type[Record]] = {
    record.TABLE: record for record in (StudyMember, StudyPareto, StudyCurve, StudyClaim)
}
"""Tables of a study; any of them may be absent."""

Row = TypeVar("Row", StudyMember, StudyPareto, StudyCurve, StudyClaim)


class SweepPoint(NamedTuple):
    """One condition of a sweep."""

    value: float | None
    """None for the condition that leaves the setting as the profile has it."""
    condition: str

    @property
    def label(self) -> str:
        """The value as it is read."""
        return "profile" if self.value is None else f"{self.value:g}"


@dataclass(frozen=True)
class Sweep:
    """Conditions that differ in one number only."""

    setting: str
    points: tuple[SweepPoint, ...]
    """Values rising, the profile's last: its value is not in the table."""


@dataclass(frozen=True)
class StudyEvidence:
    """All rows of one study."""

    study: str
    members: tuple[StudyMember, ...]
    claims: tuple[StudyClaim, ...]
    pareto: tuple[StudyPareto, ...]
    curves: Mapping[tuple[str, str], Mapping[int, Series]]
    """(condition, metric) -> seed -> series."""

    @property
    def conditions(self) -> tuple[str, ...]:
        """Conditions in the order of the study."""
        named = [m.condition for m in self.members] + [p.condition for p in self.pareto] + [c for c, _ in self.curves]
        return tuple(dict.fromkeys(named))

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """Benchmarks with a curve."""
        return tuple(dict.fromkeys(p.benchmark for p in self.pareto))

    @property
    def probes(self) -> tuple[str, ...]:
        """P(think) on the probe problems: by task and level if they have tasks, by difficulty otherwise."""
        return self.metrics("probe_p_think/task_") or self.metrics("probe_p_think/difficulty_")

    def metrics(self, pattern: str) -> tuple[str, ...]:
        """Names of metrics that start with the pattern, sorted."""
        return tuple(sorted({name for _, name in self.curves if name.startswith(pattern)}))


def read_studies(folder: Path) -> tuple[StudyEvidence, ...]:
    """Every study whose rows lie in the folder; raises MissingArtifactError if it holds no table at all."""
    paths = {name: folder / record.FILE for name, record in TABLES.items()}
    files = {name: (path,) for name, path in paths.items() if path.is_file()}
    if not files:
        raise MissingArtifactError(
            f"study page: {folder} holds none of {', '.join(path.name for path in paths.values())}; "
            "run the study, which writes them"
        )
    with connect(files, schemas=TABLES) as connection:
        members: list[StudyMember] = read_rows(connection, "study_members", StudyMember)
        claims: list[StudyClaim] = read_rows(connection, "study_claims", StudyClaim)
        pareto: list[StudyPareto] = read_rows(connection, "study_pareto", StudyPareto)
        curves: list[StudyCurve] = read_rows(connection, "study_curves", StudyCurve)
    named = [[row.study for row in rows] for rows in (members, claims, pareto, curves)]
    names = dict.fromkeys(study for studies in named for study in studies)
    return tuple(
        StudyEvidence(
            study=name,
            members=_of(members, name),
            claims=_of(claims, name),
            pareto=_of(pareto, name),
            curves=_series(_of(curves, name)),
        )
        for name in names
    )


def drawn_interval(values: Sequence[float]) -> Interval:
    """Mean and 95% interval over seeds, to be drawn; one seed has an infinite interval, and only its mean is drawn."""
    interval = interval_over_seeds(values)
    return (
        interval if math.isfinite(interval.low) else Interval(interval.estimate, interval.estimate, interval.estimate)
    )


def mean_series(by_seed: Mapping[int, Series]) -> Series:
    """The mean over seeds at every step that all of them reached."""
    shared = set.intersection(*({step for step, _ in series} for series in by_seed.values()))
    lookup = [dict(series) for series in by_seed.values()]
    return tuple((step, math.fsum(values[step] for values in lookup) / len(lookup)) for step in sorted(shared))


def final_value(series: Series) -> float:
    """The mean of the last tenth of a series, at least its last value."""
    last = [value for _, value in series[-max(len(series) // 10, 1) :]]
    return math.fsum(last) / len(last)


def sweeps(members: Iterable[StudyMember]) -> tuple[Sweep, ...]:
    """Groups of conditions whose settings differ in one number; seeds and what is evaluated are left aside."""
    settings = {m.condition: _settings(m.overrides) for m in members}
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], dict[float, str]] = {}
    for condition, values in settings.items():
        for key, text in values.items():
            number = _number(text)
            if number is not None:
                others = tuple(sorted((k, v) for k, v in values.items() if k != key))
                groups.setdefault((key, others), {}).setdefault(number, condition)
    found = []
    for (key, others), by_value in groups.items():
        points = [SweepPoint(value, by_value[value]) for value in sorted(by_value)]
        points += [SweepPoint(None, c) for c, values in settings.items() if tuple(sorted(values.items())) == others][:1]
        if len(points) > 1:
            found.append(Sweep(key, tuple(points)))
    return tuple(sorted(found, key=lambda sweep: sweep.setting))


def overrides_in(overrides: str) -> tuple[str, ...]:
    """Overrides of a member, each as `key=value`, from a JSON list of them or a JSON object."""
    given = json.loads(overrides)
    entries = (f"{key}={value}" for key, value in given.items()) if isinstance(given, dict) else map(str, given)
    return tuple(entries)


def _settings(overrides: str) -> dict[str, str]:
    """Overrides as text by key, as far as they decide the weights."""
    items = (override.partition("=")[::2] for override in overrides_in(overrides))
    return {key: value for key, value in items if not key.endswith("seed") and not key.startswith("evaluate.")}


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _of(rows: Iterable[Row], study: str) -> tuple[Row, ...]:
    return tuple(row for row in rows if row.study == study)


def _series(rows: Iterable[StudyCurve]) -> dict[tuple[str, str], dict[int, Series]]:
    found: dict[tuple[str, str], dict[int, list[tuple[int, float]]]] = {}
    for row in rows:
        if math.isfinite(row.value):
            found.setdefault((row.condition, row.name), {}).setdefault(row.seed, []).append((row.step, row.value))
    return {
        key: {seed: tuple(sorted(points)) for seed, points in sorted(by_seed.items())} for key, by_seed in found.items()
    }
