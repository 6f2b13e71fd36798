"""Entry point of each launched training process: `python -m tasks.running.training_process FOLDER`.

FOLDER/job.json -> `train` of the stage's module -> progress of the main process, sent to the launcher
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.processes.launched_process import LaunchedProcess


def main() -> None:
    """Do this process's part of the job in the folder named on the command line."""
    process = LaunchedProcess.start(Path(sys.argv[1]))
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s [{process.rank}] %(message)s")
    with process.reporting(leave=_leave):
        _train(process, process.job)


def _train(process: LaunchedProcess, job: Mapping[str, Any]) -> None:
    module_name, class_name = job["stage"]
    module = importlib.import_module(module_name)

    def progress(done: int, total: int, numbers: Mapping[str, float], notes: Sequence[str] = ()) -> None:
        process.send({"done": done, "total": total, "numbers": dict(numbers), "notes": list(notes)})

    module.train(
        getattr(module, class_name).config.model_validate(job["config"]),
        tuple(Path(path) for path in job["inputs"]),
        Path(job["workspace"]),
        progress,
        processes=job["processes"],
        sharded=job["sharded"],
    )


def _leave() -> None:
    """Leave the group of processes."""
    from thinkless_core.training.processes import leave_group

    leave_group()


if __name__ == "__main__":
    main()
