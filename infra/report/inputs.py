"""What a report is made from: tables of one run, the manifests of every artifact behind them, and links.

manifests + Parquet tables -> ReportInputs -> Evidence (evidence.py) -> page.py, cards.py
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from schemas.artifact import Manifest
from schemas.configs.pipeline import STAGES

TABLES = ("eval_summary", "eval_completions", "sft_metrics", "rl_metrics", "rollouts", "pairs", "problems")
"""Names under which the Parquet files of `ReportInputs` are queried."""


@dataclass(frozen=True)
class ReportInputs:
    """Everything the report and both cards may know; nothing else is read."""

    title: str
    profile: str
    run_id: str
    created_at: str
    """UTC, ISO 8601; when the report was asked for."""
    eval_summary: Path
    eval_completions: Path
    sft_metrics: Path
    rl_metrics: Path
    rollouts: Path
    pairs: Path
    problems: Path
    manifests: tuple[Manifest, ...]
    """Every upstream artifact, in any order."""
    validation_docs: Mapping[str, str]
    """Table -> relative link of its data docs."""
    examples: int
    """Problems shown in full; a couple of wrong ones come on top."""

    def table(self, name: str) -> Path:
        """The Parquet file behind one of `TABLES`."""
        path = getattr(self, name)
        assert isinstance(path, Path)
        return path

    def ordered_manifests(self) -> tuple[Manifest, ...]:
        """Manifests in the order of the pipeline, unknown stages last."""
        position = {stage: index for index, stage in enumerate(STAGES)}
        return tuple(sorted(self.manifests, key=lambda m: (position.get(m.stage, len(STAGES)), m.stage, m.key)))

    def manifest(self, stage: str) -> Manifest | None:
        """The first manifest of a stage, if there is one."""
        return next((m for m in self.ordered_manifests() if m.stage == stage), None)
