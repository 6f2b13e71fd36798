"""One of several launched processes: it reads its job, sends messages and reports its failure.

job.json -> work -> messages.jsonl (progress of the main process)
                 -> process-R.log (output of process R), failure-R.json (its error)

The process ends when its launcher ends, even if that one is killed. The other side is infra/processes/launcher.py for
processes that work together, and infra/processes/workers.py for workers, each of which works alone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import schemas.errors
from schemas.errors import ThinklessError

JOB_FILE, MESSAGES_FILE = "job.json", "messages.jsonl"
SECONDS_BETWEEN_LOOKS = 0.5
LAST_LINES = 12


def log_file(folder: Path, rank: int) -> Path:
    """File with the output of process `rank`."""
    return folder / f"process-{rank}.log"


def failure_file(folder: Path, rank: int) -> Path:
    """File with the error that ended process `rank`."""
    return folder / f"failure-{rank}.json"


def last_lines(log: Path) -> str:
    """The end of a log, for an error."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-LAST_LINES:]) or "(it wrote nothing)"


def signal_words(number: int) -> str:
    """What to say of a signal that ended a process."""
    name = signal.Signals(number).name
    return f"was ended by {name}{' (the kernel sends it if memory runs out)' if name == 'SIGKILL' else ''}"


@dataclass(frozen=True)
class Failure:
    """The error that ended a process, as it wrote it down."""

    at: float
    kind: str
    message: str
    ours: bool
    """Whether it is an error of schemas/errors.py."""

    @classmethod
    def of(cls, folder: Path, rank: int) -> Failure | None:
        """The failure of process `rank`; None if it reported none."""
        path = failure_file(folder, rank)
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None

    def as_error(self, *, otherwise: type[ThinklessError], where: str = "") -> ThinklessError:
        """The same error in this process, if it is ours; `where` says who met it."""
        known: type[ThinklessError] = getattr(schemas.errors, self.kind, otherwise)
        return known(f"{self.message} ({where})" if where else self.message)


@dataclass(frozen=True)
class LaunchedProcess:
    """This process, one of those that share a job."""

    folder: Path
    rank: int
    """0 is the main process."""

    @classmethod
    def start(cls, folder: Path, *, rank: int | None = None) -> LaunchedProcess:
        """Join the job in `folder`. From now on all output of this process goes to its log, and it ends with its
        parent. Without a `rank` it has the one that torchrun gave it.
        """
        process = cls(folder, int(os.environ.get("RANK", "0")) if rank is None else rank)
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
    failure = Failure(time.time(), type(error).__name__, str(error), isinstance(error, ThinklessError))
    part = path.with_suffix(".part")
    part.write_text(json.dumps(asdict(failure)), encoding="utf-8")
    part.replace(path)


def _end_with(parent: int) -> None:
    """End this process as soon as its parent is gone, even if it is waiting for something."""
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(1)
