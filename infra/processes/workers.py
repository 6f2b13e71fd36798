"""Runs workers: processes that take one piece of a job after the other, and need each other for nothing.

Workers -> N x `python -m MODULE FOLDER RANK` (infra/processes/launched_process.py), each with GPUs of its own
        -> a look at what is done, again and again -> return, or one error that names the worker that failed

A worker ends with exit code 0 only if the whole job is done. One that a signal ends is named, and the others do its
share. One that meets an error ends all: the others would meet it too. No worker outlives the call.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.disk import writing
from infra.processes.child_process import ChildCommand, end_children, run_logged
from infra.processes.launched_process import JOB_FILE, Failure, last_lines, log_file, signal_words
from schemas.errors import ThinklessError, WorkerError

SECONDS_BETWEEN_LOOKS = 0.25
VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"
"""CUDA's variable: names of the GPUs that a process may use, with commas between."""


@dataclass(frozen=True)
class Workers:
    """A job for several workers."""

    label: str
    """Its name in errors."""
    module: str
    """Run in each worker as `python -m MODULE FOLDER RANK`."""
    job: Mapping[str, Any]
    """Content of job.json; any JSON value."""
    processes: int
    folder: Path
    """Folder for job and logs; emptied at the start."""
    num_gpus: int = 0
    """GPUs of this machine; 0 for work on the CPU."""
    gpus_each: int = 1

    def commands(self) -> list[ChildCommand]:
        """The command of each worker. Worker i gets the i-th GPU, or the i-th `gpus_each`, of this process."""
        names = os.environ.get(VISIBLE_GPUS, ",".join(map(str, range(self.num_gpus)))).split(",")
        shares = [names[rank * self.gpus_each :][: self.gpus_each] for rank in range(self.processes)]
        return [
            ChildCommand(
                (sys.executable, "-m", self.module, str(self.folder), str(rank)),
                log_file(self.folder, rank),
                {VISIBLE_GPUS: ",".join(share)} if self.num_gpus else {},
            )
            for rank, share in enumerate(shares)
        ]


def run_workers(workers: Workers, *, look: Callable[[int], None], note: Callable[[str], None]) -> None:
    """Run a job until it is done.

    `look` is called several times a second with the number of workers at work, `note` with a sentence for each worker
    that was killed. Raises the error that a worker met: one of schemas/errors.py with the worker's name behind it,
    else WorkerError with the last lines of its log. Raises WorkerError if all workers were killed.
    """
    with writing(workers.folder):
        shutil.rmtree(workers.folder, ignore_errors=True)
        workers.folder.mkdir(parents=True)
        (workers.folder / JOB_FILE).write_text(json.dumps(workers.job), encoding="utf-8")
    running: dict[Future[int], int] = {}
    killed: list[str] = []
    with ThreadPoolExecutor(workers.processes, thread_name_prefix="worker") as threads:
        try:
            for rank, command in enumerate(workers.commands()):
                running[threads.submit(run_logged, command)] = rank
            while running:
                ended, _ = wait(running, timeout=SECONDS_BETWEEN_LOOKS, return_when=FIRST_COMPLETED)
                for future in ended:
                    rank, code = running.pop(future), future.result()
                    if code > 0:
                        raise _failure(workers, rank=rank, code=code)
                    if code < 0:
                        killed.append(f"worker {rank} of {workers.processes} {signal_words(-code)}")
                        if running:
                            note(f"{killed[-1]}; the others do its share")
                look(len(running))
        finally:
            while running and wait(running, timeout=0).not_done:
                end_children()  # again and again: a thread may be about to start its child
                wait(running, timeout=SECONDS_BETWEEN_LOOKS)
    if len(killed) == workers.processes:
        log = log_file(workers.folder, rank)
        raise WorkerError(
            f"{workers.label}: {'; '.join(killed)}; nobody is left. Finished chunks are kept, and the same command "
            f"goes on from there; with fewer processes each has more memory. Last lines of {log}:\n{last_lines(log)}"
        )


def _failure(workers: Workers, *, rank: int, code: int) -> ThinklessError:
    name, failure = f"worker {rank} of {workers.processes}", Failure.of(workers.folder, rank)
    if failure is not None and failure.ours:
        return failure.as_error(otherwise=WorkerError, where=f"{workers.label}, {name}")
    what = f"ended with exit code {code}" if failure is None else f"met {failure.kind}: {failure.message}"
    log = log_file(workers.folder, rank)
    return WorkerError(
        f"{workers.label}: {name} {what}; finished chunks are kept, and the same command goes on from there. "
        f"Last lines of {log}:\n{last_lines(log)}"
    )
