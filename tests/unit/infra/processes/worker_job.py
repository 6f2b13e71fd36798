"""A job for workers that goes well or not, as it is told: `python -m tests.unit.infra.processes.worker_job FOLDER
RANK`."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from infra.processes.launched_process import LaunchedProcess
from schemas.errors import EvaluationError
from tasks.running.chunks import Chunk, unfinished


def chunks_in(folder: Path, number: int) -> list[Chunk]:
    """The chunks of the job."""
    return [Chunk(folder / f"chunk-{place}.txt", size=1) for place in range(number)]


def main() -> None:
    """Write the chunks that nobody else does; fail in the middle of one if `failing` names this worker."""
    folder, rank = sys.argv[1:]
    process = LaunchedProcess.start(Path(folder), rank=int(rank))
    with process.reporting(leave=lambda: None):
        job = process.job
        print(f"worker {process.rank} is here with {os.environ.get('CUDA_VISIBLE_DEVICES')}", flush=True)
        fails = process.rank in job["failing"]
        while not fails and not all((Path(job["place"]) / f"taken-{other}").exists() for other in job["failing"]):
            time.sleep(0.01)
        for chunk in unfinished(chunks_in(Path(job["place"]), job["chunks"]), owner=f"worker {process.rank}"):
            if fails:
                (Path(job["place"]) / f"taken-{process.rank}").touch()
                if job["kind"] == "killed":
                    os.kill(os.getpid(), signal.SIGKILL)
                raise {"ours": EvaluationError, "theirs": ValueError}[job["kind"]]("told to")
            chunk.file.write_text(f"{process.rank}\n")


if __name__ == "__main__":
    main()
