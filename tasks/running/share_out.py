"""Does the work of a stage chunk by chunk: in this process, or shared out over workers.

chunks -> (launch?) no:  SharedWork.do, called here
                    yes: job.json -> N x `python -m tasks.running.worker_process` -> the same SharedWork.do
                         -> progress by the files that are there
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from infra.processes.workers import Workers, run_workers
from infra.store.workspace import SCRATCH_NAME
from schemas.configs.workers import WorkersConfig
from tasks.running.chunks import AnyWork, Chunk, unfinished
from tasks.running.stage import StagePlan, refuse_changed_files
from thinkless_core.progress import Progress

Ch = TypeVar("Ch", bound=Chunk)


def share_out(
    work: AnyWork,
    plan: StagePlan[Any],
    workspace: Path,
    progress: Progress,
    *,
    launch: WorkersConfig | None,
    gpus_each: int = 1,
) -> None:
    """Do all chunks of a stage that are not done, in this process or in those of `launch`, each with `gpus_each` GPUs.

    Raises what the work raises. Of workers: an error of schemas/errors.py with the worker's name behind it, or
    WorkerError; chunks that were finished are kept.
    """
    chunks = work.chunks
    total = _size(chunks)
    left = [chunk for chunk in chunks if not chunk.file.exists()]
    if left and launch is None:
        with closing(unfinished(chunks, owner=f"process {os.getpid()}")) as turns:
            work.refuse_changes = partial(refuse_changed_files, plan)
            work.do(_reported(turns, progress, done=total - _size(left), total=total), processes=1)
    elif left and launch is not None:
        _in_workers(work, plan, workspace, progress, left=left, total=total, launch=launch, gpus_each=gpus_each)
    progress(total, total, {})


def _reported(turns: Iterator[Ch], progress: Progress, *, done: int, total: int) -> Iterator[Ch]:
    """The same chunks, with the progress before each."""
    for chunk in turns:
        progress(done, total, {})
        yield chunk
        done += chunk.size


def _in_workers(
    work: AnyWork,
    plan: StagePlan[Any],
    workspace: Path,
    progress: Progress,
    *,
    left: list[Chunk],
    total: int,
    launch: WorkersConfig,
    gpus_each: int,
) -> None:
    job = {
        "work": [type(work).__module__, type(work).__qualname__],
        "config": plan.config.model_dump(mode="json"),
        "inputs": {artifact.stage: artifact.path for artifact in plan.inputs},
        "workspace": str(workspace),
        "label": plan.label,
        "files": plan.files,
        "processes": launch.processes,
    }
    workers = Workers(
        label=plan.label,
        module="tasks.running.worker_process",
        job=job,
        processes=launch.processes,
        folder=workspace / SCRATCH_NAME / "workers",
        num_gpus=_num_gpus(launch, plan.stage, gpus_each),
        gpus_each=gpus_each,
    )
    reported = left

    def look(at_work: int) -> None:
        """Report progress once each worker at work could finish a chunk: chunks that end together come in a bunch, and
        the time left would be told from the pause between two of them."""
        nonlocal reported
        now = [chunk for chunk in reported if not chunk.file.exists()]
        if now and len(reported) - len(now) >= max(at_work, 1):
            reported = now
            progress(total - _size(now), total, {})

    progress(total - _size(left), total, {})
    run_workers(workers, look=look, note=lambda text: progress(total - _size(reported), total, {}, [text]))


def _num_gpus(launch: WorkersConfig, stage: str, gpus_each: int) -> int:
    """GPUs here, if the work uses any; raises ConfigError if they are too few."""
    if gpus_each == 0:
        return 0
    from tasks.running.gpus import gpus_for  # loads torch

    return gpus_for(launch.processes, stage=stage, each=gpus_each)


def _size(chunks: Sequence[Chunk]) -> int:
    return sum(chunk.size for chunk in chunks)
