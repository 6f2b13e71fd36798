"""Entry point of each worker: `python -m tasks.running.worker_process FOLDER RANK`.

FOLDER/job.json -> SharedWork of the stage -> the chunks that nobody else does
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from infra.processes.launched_process import LaunchedProcess
from tasks.running.chunks import AnyWork, unfinished
from tasks.running.stage import refuse_changes


def main() -> None:
    """Do this worker's part of the job in the folder named on the command line."""
    folder, rank = sys.argv[1:]
    process = LaunchedProcess.start(Path(folder), rank=int(rank))
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s [{process.rank}] %(message)s")
    with process.reporting(leave=lambda: None):
        job = process.job
        work = _work_of(job)
        with closing(unfinished(work.chunks, owner=f"worker {process.rank}")) as turns:
            work.refuse_changes = partial(refuse_changes, job["files"], label=job["label"])
            work.do(turns, processes=job["processes"])


def _work_of(job: Mapping[str, Any]) -> AnyWork:
    module_name, class_name = job["work"]
    found: type[AnyWork] = getattr(importlib.import_module(module_name), class_name)
    inputs = {stage: Path(path) for stage, path in job["inputs"].items()}
    return found(found.config_class.model_validate(job["config"]), inputs, Path(job["workspace"]))


if __name__ == "__main__":
    main()
