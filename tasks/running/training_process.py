"""Entry point of each launched training process: `python -m tasks.running.training_process FOLDER`.

FOLDER/job.json -> `train` of the stage's module -> progress of the main process, sent to the launcher
"""

from __future__ import annotations

import importlib
import logging
import math
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.fingerprint import source_hashes
from infra.processes.launched_process import LaunchedProcess
from infra.processes.pulse import SILENCE_SECONDS, Progressed, start_pulse
from schemas.errors import ConfigError
from tasks.running.find import result_versions
from tasks.running.rebuild_reason import files_unlike


def main() -> None:
    """Do this process's part of the job in the folder named on the command line."""
    process = LaunchedProcess.start(Path(sys.argv[1]))
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s [{process.rank}] %(message)s")
    with process.reporting(leave=_leave):
        job = process.job
        _refuse_other_code(job)
        _show_life(process, job)
        _train(process, job)


def _refuse_other_code(job: Mapping[str, Any]) -> None:
    """Raise ConfigError if this machine has other code or packages than the one that made the stage's key."""
    changed = files_unlike(source_hashes([job["stage"][0]]), job["sources"])
    changed += [
        f"{name} {installed} (there: {job['packages'][name]})"
        for name, installed in result_versions().items()
        if installed != job["packages"][name]
    ]
    if changed:
        raise ConfigError(
            f"the code on {socket.gethostname()} is not the code with which {job['host']} made this stage's key: "
            f"{', '.join(changed)}; expected the same on every machine, and no change before the training has begun: "
            "one environment on the shared disk, or the same versions everywhere"
        )


def _show_life(process: LaunchedProcess, job: Mapping[str, Any]) -> None:
    """Give signs of life, and wait for no other process longer than the settings say."""
    from thinkless_core.training.acceleration import wait_at_most
    from thinkless_core.training.arrivals import HERE

    wait = job["longest_wait_seconds"]
    start_pulse(
        process.folder,
        process.rank,
        read=lambda: Progressed(HERE.number, HERE.last, HERE.inside),
        longest_silence=min(SILENCE_SECONDS, wait) if job["machines"] > 1 else math.inf,
    )
    wait_at_most(wait + SILENCE_SECONDS)  # the launcher, which names the missing one, is first


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
