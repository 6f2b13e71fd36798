"""Which run a command means: the one that was named, or the newest finished one that is no member of a study.

run id, or its beginning, or nothing -> run records -> RunRecord; what is passed over is said in one line
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from infra.runs import RunRecord, list_runs
from infra.store.artifact_store import ArtifactStore
from schemas.errors import MissingArtifactError, nearest

logger = logging.getLogger("thinkless")


def choose_run(home: Path, named: str | None = None, *, having: str | None = None) -> RunRecord:
    """The run that `named` is the id of, or the only id's beginning; else the newest.

    The newest is a completed run that is no member of a study, if there is one; otherwise any, and a line says what it
    is. `having` leaves only runs that found or built this stage. Raises MissingArtifactError if none is left.
    """
    every = all_runs(home)
    if named is not None:
        return having_stage(run_by_name(every, named), having)
    able = [run for run in every if having is None or _has(run, having)]
    if not able:
        raise MissingArtifactError(
            f"none of the {len(every)} runs in {home} has a stage {having} yet; build it with: "
            f"thinkless run --until {having}"
        )
    chosen = newest(able)
    passed = Counter(_kind(run) for run in able[able.index(chosen) + 1 :])
    if passed:
        listed = ", ".join(f"{number} {kind}" for kind, number in passed.items())
        logger.info("run %s; newer, and passed over: %s (name one to take it)", chosen.run_id, listed)
    elif not _is_whole(chosen):
        logger.info("run %s is %s: no other kind of run has this", chosen.run_id, _kind(chosen))
    return chosen


def newest(runs: Sequence[RunRecord]) -> RunRecord:
    """The newest completed run that is no member of a study, else the newest; `runs` are oldest first."""
    return ([run for run in runs if _is_whole(run)] or runs)[-1]


def _is_whole(run: RunRecord) -> bool:
    return run.status == "completed" and run.study is None


def all_runs(home: Path) -> list[RunRecord]:
    """Every run, oldest first; raises MissingArtifactError if there is none."""
    if runs := list_runs(home):
        return runs
    raise MissingArtifactError(f"no run yet in {home}; start one with: thinkless run --profile tiny")


def run_by_name(runs: list[RunRecord], named: str, *, listing: str = "thinkless runs") -> RunRecord:
    """The run with this id, or the only one whose id begins so; raises MissingArtifactError, which names `listing`."""
    found = [run for run in runs if run.run_id == named] or [run for run in runs if run.run_id.startswith(named)]
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(run.run_id for run in found[-5:])
        raise MissingArtifactError(f"{named!r} begins the ids of {len(found)} runs, {listed}; give more of the id")
    hint = nearest(named, [run.run_id for run in runs[-5:]])
    raise MissingArtifactError(f"no run {named!r}; {hint}; `{listing}` lists them all")


def stage_labels(store: ArtifactStore, run: RunRecord) -> dict[str, str]:
    """Key -> name in a run, in the order of the run's stages: the teachers, both of stage `teach`, are told apart as
    long as their artifacts are in the store."""
    return {
        use.key: store.manifest(use.stage, use.key).label if store.holds(use.stage, use.key) else use.stage
        for use in run.stages
    }


def having_stage(run: RunRecord, stage: str | None) -> RunRecord:
    """The run; raises MissingArtifactError if it has no such stage."""
    if stage is None or _has(run, stage):
        return run
    known = ", ".join(dict.fromkeys(use.stage for use in run.stages)) or "none"
    raise MissingArtifactError(f"run {run.run_id} ({run.status}) has no stage {stage}; it has: {known}")


def _has(run: RunRecord, stage: str) -> bool:
    return any(use.stage == stage for use in run.stages)


def _kind(run: RunRecord) -> str:
    return f"of study {run.study}" if run.study is not None else run.status
