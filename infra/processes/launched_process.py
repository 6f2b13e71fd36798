"""One of several launched processes: it reads its job, sends messages and reports its failure.

job.json -> work -> messages.jsonl (progress of the main process)
                 -> process-R.log (output of process R), failure-R.json (its error)

The process ends when its launcher ends, even if that one is killed. The other side is infra/processes/launcher.py.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import ThinklessError

JOB_FILE, MESSAGES_FILE = "job.json", "messages.jsonl"
SECONDS_BETWEEN_LOOKS = 0.5


def log_file(folder: Path, rank: int) -> Path:
    """File with the output of process `rank`."""
    return folder / f"process-{rank}.log"


def failure_file(folder: Path, rank: int) -> Path:
    """File with the error that ended process `rank`."""
    return folder / f"failure-{rank}.json"


@dataclass(frozen=True)
class LaunchedProcess:
    """This process, one of those that share a job."""

    folder: Path
    rank: int
    """0 is the main process."""

    @classmethod
    def start(cls, folder: Path) -> LaunchedProcess:
        """Join the job in `folder`. From now on all output of this process goes to its log, and it ends with its
        parent.
        """
        process = cls(folder, int(os.environ.get("RANK", "0")))  # set by torchrun; a single process has none
        log = os.open(log_file(folder, process.rank), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.close(log)
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
        return process

    @property
    def job(self) -> Mapping[str, Any]:
        """The content of job.json."""
        job: Mapping[str, Any] = json.loads((self.folder / JOB_FILE).read_text(encoding="utf-8"))
        return job

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message to the launcher; only the main process may."""
        with (self.folder / MESSAGES_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(message) + "\n")

    @contextmanager
    def reporting(self, *, leave: Callable[[], None]) -> Iterator[None]:
        """Run the job inside this context, and write its failure to a file. Then the process ends at once, without
        waiting for others and without unloading libraries, which could fail after the job is done.
        """
        code = 0
        try:
            yield
            leave()
        except BaseException as error:  # noqa: BLE001 - every error is written down before the process ends
            traceback.print_exc()
            _write_failure(failure_file(self.folder, self.rank), error)
            code = int(getattr(error, "exit_code", 1))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _write_failure(path: Path, error: BaseException) -> None:
    failure = {
        "at": time.time(),
        "kind": type(error).__name__,
        "ours": isinstance(error, ThinklessError),
        "message": str(error),
    }
    part = path.with_suffix(".part")
    part.write_text(json.dumps(failure), encoding="utf-8")
    part.replace(path)


def _end_with(parent: int) -> None:
    """End this process as soon as its parent is gone, even if it is waiting for something."""
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(1)
