"""Inputs of a report: tables of one run, the manifests of every artifact behind them, and links.

manifests + Parquet tables -> ReportInputs -> Evidence (evidence.py) -> page.py, cards/

A run that is not finished has fewer tables; a table that is not there reads as one without rows, and the page says
which stages are missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import schemas.tables
from schemas.artifact import Manifest
from schemas.base import Record
from schemas.configs.pipeline import STAGES
from schemas.records.metrics import Metric

TABLES: dict[str, type[Record]] = {**schemas.tables.TABLES, "sft_metrics": Metric, "rl_metrics": Metric}
"""Every table a report may read, under the name its SQL uses; `<stage>_metrics` is table `metrics` of that stage."""


@dataclass(frozen=True)
class Unfinished:
    """Why a run has no report of its own yet."""

    status: str
    """`running`, `failed` or `completed` (one that was asked to stop before the last stage)."""
    error: str | None
    missing: tuple[str, ...]
    """Stages without an artifact, each with a word on what that means."""


class SourceLicence(NamedTuple):
    """One source of the model or the data, and its licence."""

    part: str
    """What it gave: base model, problems, RL problems, think answers, short answers."""
    name: str
    """The model, data set or file, without folders of this machine."""
    licence: str | None
    """As its own page or files state it (`Apache-2.0`); None if it is not known."""
    note: str = ""
    """Where to look."""


@dataclass(frozen=True)
class ReportInputs:
    """Everything that the report and both cards are made from; nothing else is read."""

    title: str
    profile: str
    run_id: str
    created_at: str
    """UTC, ISO 8601; when the report was asked for."""
    tables: Mapping[str, tuple[Path, ...]]
    """Name of `TABLES` -> Parquet files that make it up together; a name that is not in it was not built."""
    manifests: tuple[Manifest, ...]
    """Every upstream artifact, in any order."""
    validation_docs: Mapping[tuple[str, str], str]
    """(key of an artifact, suite) -> relative link of its data docs."""
    examples: int
    """Held-out problems shown before anything is filtered; a couple of wrong ones come on top."""
    unfinished: Unfinished | None = None
    """None for a run in which every stage was built."""
    licences: tuple[SourceLicence, ...] = ()
    """Of everything the model and the data were made from."""
    dropped_file: str = "dropped.csv"
    """Name of the file beside the page that lists every row that was left out."""

    def ordered_manifests(self) -> tuple[Manifest, ...]:
        """Manifests in the order of the pipeline, the think teacher first, unknown stages last."""
        position = {stage: index for index, stage in enumerate(STAGES)}
        return tuple(
            sorted(
                self.manifests,
                key=lambda m: (position.get(m.stage, len(STAGES)), m.stage, m.label != "teach-think", m.key),
            )
        )

    def manifest(self, stage: str) -> Manifest | None:
        """The first manifest of a stage, if there is one."""
        return next((m for m in self.ordered_manifests() if m.stage == stage), None)
