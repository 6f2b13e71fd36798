"""A job for launched processes that goes well or not, as it is told: `python -m tests.unit.infra.processes.launched_job
FOLDER`."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from infra.processes.launched_process import LaunchedProcess
from schemas.errors import CollapseError


def main() -> None:
    """Fail in the process that `failing` names; the others wait to be ended."""
    folder = Path(sys.argv[1])
    process = LaunchedProcess.start(folder)
    with process.reporting(leave=lambda: None):
        job = process.job
        if process.rank == 0:
            process.send({"hello": job["greeting"]})
        print(f"process {process.rank} is here", flush=True)
        if process.rank == job["failing"] and job["kind"] == "killed":
            (folder / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if process.rank == job["failing"]:
            raise {"ours": CollapseError, "theirs": ValueError}[job["kind"]]("told to")
        if job["kind"] == "killed":
            while not (folder / "killed").exists():  # processes may start at very different times
                time.sleep(0.01)
            time.sleep(0.02)
            raise ConnectionError("closed by peer")  # as the others meet it, about when the launcher looks
        if job["failing"] is not None:
            time.sleep(60)


if __name__ == "__main__":
    main()
