"""Curves of a run's trainings, read from the store while they are written or afterwards.

run record + store -> scratch/metrics.jsonl of an unfinished stage | metrics.parquet of a finished one -> Training
Nothing is locked and nothing is written.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from infra.runs import RunRecord
from infra.store.artifact_store import ArtifactStore, UnfinishedBuild
from infra.store.workspace import SCRATCH_NAME
from schemas.records.metrics import Metric
from tasks.train_rl import TrainRl
from tasks.train_sft import TrainSft

TRAININGS = (TrainSft.name, TrainRl.name)
"""Stages that train, in the order of the pipeline."""

Curves = Mapping[str, Mapping[int, float]]
"""Metric -> step -> value."""


@dataclass(frozen=True)
class Training:
    """One training of a run, as far as it has come."""

    stage: str
    curves: Curves
    num_steps: int
    unfinished: bool
    seconds_left: float | None = None
    """Estimated from the steps since the newest checkpoint; None if there are none, or if nothing is left."""

    @property
    def step(self) -> int:
        """The newest step; 0 before the first."""
        return max((max(curve) for curve in self.curves.values()), default=0)


def trainings(store: ArtifactStore, run: RunRecord, unfinished: Iterable[UnfinishedBuild]) -> Iterator[Training]:
    """The trainings that the run has used, or is at, in the order of the pipeline; `unfinished` are its builds."""
    finished = {use.stage: store.path(use.stage, use.key) for use in run.stages}
    at_work = {build.stage: build for build in unfinished}
    for stage in TRAININGS:
        if stage in at_work:
            yield _at_work(at_work[stage], num_steps=_num_steps(run, stage))
        elif stage in finished and (table := finished[stage] / Metric.FILE).exists():
            rows = pq.read_table(table, columns=["step", "name", "value"]).to_pylist()
            yield Training(stage, _curves(rows), _num_steps(run, stage), unfinished=False)


def _at_work(build: UnfinishedBuild, *, num_steps: int) -> Training:
    scratch = build.workspace / SCRATCH_NAME
    training = Training(build.stage, _curves(_written(scratch / "metrics.jsonl")), num_steps, unfinished=True)
    try:
        begun_at, began = _newest_checkpoint(scratch / "checkpoints", since=build.began)
        seconds = (scratch / "metrics.jsonl").stat().st_mtime - began
    except FileNotFoundError:  # published, or replaced by a newer checkpoint, since it was listed
        return training
    done, left = training.step - begun_at, num_steps - training.step
    if done <= 0 or left <= 0:
        return training
    return Training(build.stage, training.curves, num_steps, unfinished=True, seconds_left=seconds / done * left)


def _newest_checkpoint(folder: Path, *, since: float) -> tuple[int, float]:
    """Step and time that the build went on from: the newest checkpoint, or its beginning."""
    steps = [(int(path.name.removeprefix("step-")), path.stat().st_mtime) for path in folder.glob("step-??????")]
    step, written = max(steps, default=(0, since))
    return step, max(written, since)


def _written(log: Path) -> Iterator[dict[str, object]]:
    """Rows of a log that another process appends to; a last line without its end is left for later."""
    try:
        content = log.read_bytes()
    except FileNotFoundError:
        return
    for line in content.splitlines(keepends=True):
        if line.endswith(b"\n"):
            yield json.loads(line)


def _curves(rows: Iterable[Mapping[str, object]]) -> Curves:
    curves: dict[str, dict[int, float]] = defaultdict(dict)
    for row in rows:
        curves[str(row["name"])][int(str(row["step"]))] = float(str(row["value"]))
    return curves


def _num_steps(run: RunRecord, stage: str) -> int:
    settings = run.config[stage]
    assert isinstance(settings, dict), f"run {run.run_id} has no settings of stage {stage}"
    return int(str(settings["steps"]))
