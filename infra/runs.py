"""Run records: the configuration of each run, its process, its stages and its end.

start_run -> save_run at every change -> runs/<run_id>.json -> list_runs -> catalog

The records are files beside the artifacts, so that the catalog can be rebuilt from them.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import psutil
from pydantic import JsonValue, ValidationError

from infra.disk import write_whole
from infra.processes.alive import process_lives
from infra.store.shared_home import is_shared
from schemas.base import Record
from schemas.errors import MissingArtifactError, StoreError

_log = logging.getLogger("thinkless")

PROCESS_ENDED = "process ended"
"""Error of a run whose process ended without recording one (kill -9, power cut)."""
NO_SIGN = " gives no sign of it"
"""Behind the name of the machine: error of a run whose process was on another one, which is silent."""
SIGN_SECONDS = 20.0
"""On a home that machines share, a running run touches its record so often."""
SILENCE_SECONDS = 180.0
"""A run of another machine without such a sign for so long is taken for dead."""


class StageUse(Record):
    """One stage of one run: its artifact, and whether that was already in the store."""

    stage: str
    key: str
    cached: bool
    kept: bool = False
    """Whether it was used (--keep) although the sources of the stage had changed."""

    @property
    def word(self) -> str:
        """`kept`, `cached` or `built`."""
        return "kept" if self.kept else "cached" if self.cached else "built"


class RunRecord(Record):
    """One run, finished or not."""

    run_id: str
    profile: str
    status: Literal["running", "completed", "failed", "cancelled"]
    started_at: str
    """UTC, ISO 8601."""
    finished_at: str | None
    config: dict[str, JsonValue]
    """The whole configuration of the run."""
    stages: tuple[StageUse, ...] = ()
    """In the order in which they were found or built."""
    error: str | None = None
    study: str | None = None
    """The study that this run is a member of."""
    flow_run_id: str | None = None
    """Id of the Prefect flow run; None: run without Prefect."""
    pid: int
    process_started: float
    """Start of the process, seconds since the epoch; a later process with the same pid has another one."""
    host: str

    @property
    def has_died(self) -> bool:
        """Whether its process ended without saying so, as far as this machine can tell."""
        return self.status == "failed" and self.error in (PROCESS_ENDED, f"{self.host}{NO_SIGN}")


def start_run(
    run_id: str, *, profile: str, config: dict[str, JsonValue], study: str | None = None, flow_run_id: str | None = None
) -> RunRecord:
    """The record of a run that this process begins now; not saved yet."""
    return RunRecord(
        run_id=run_id,
        profile=profile,
        status="running",
        started_at=datetime.now(UTC).isoformat(),
        finished_at=None,
        config=config,
        study=study,
        flow_run_id=flow_run_id,
        pid=os.getpid(),
        process_started=psutil.Process().create_time(),
        host=socket.gethostname(),
    )


def finish_run(record: RunRecord, *, error: BaseException | None = None) -> RunRecord:
    """The record of a run that ends now: completed, failed, or cancelled from outside (Ctrl-C, SIGTERM, Prefect's UI:
    what they raise is no `Exception`). Not saved yet."""
    status = "completed" if error is None else "failed" if isinstance(error, Exception) else "cancelled"
    said = None if error is None else f"{type(error).__name__}: {error}".removesuffix(": ")
    return record.model_copy(update={"status": status, "finished_at": datetime.now(UTC).isoformat(), "error": said})


def add_stage(record: RunRecord, use: StageUse) -> RunRecord:
    """The record with one more stage; replaces an entry of the same stage and key. Not saved yet."""
    others = (known for known in record.stages if (known.stage, known.key) != (use.stage, use.key))
    return record.model_copy(update={"stages": (*others, use)})


def save_run(home: Path, record: RunRecord) -> None:
    """Write the record to its file, completely or not at all."""
    content = json.dumps(record.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"
    write_whole(_path(home, record.run_id), content.encode())


def load_run(home: Path, run_id: str) -> RunRecord:
    """One run, marked `failed` if its process is gone; raises MissingArtifactError if there is none with that id."""
    path = _path(home, run_id)
    try:
        record = RunRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        known = sorted((home / "runs").glob("*.json"), key=lambda file: file.stat().st_mtime)
        newest = ", ".join(file.stem for file in known[-3:]) or "none yet"
        raise MissingArtifactError(
            f"no run {run_id!r} in {home / 'runs'}; expected one of its run ids (newest: {newest})"
        ) from None
    except ValidationError as error:
        raise StoreError(
            f"run record {path} cannot be read: {error.errors()[0]['msg']}; delete the file: no artifact depends on it"
        ) from error
    return _with_true_status(record, path)


def list_runs(home: Path) -> list[RunRecord]:
    """All runs, oldest first; a damaged record is left out with a warning."""
    records = []
    for path in (home / "runs").glob("*.json"):
        if path.name.startswith("."):
            continue
        try:
            records.append(load_run(home, path.stem))
        except StoreError as error:
            _log.warning("left out: %s", error)
        except MissingArtifactError:
            continue  # removed since it was listed
    return sorted(records, key=lambda record: (record.started_at, record.run_id))


@contextmanager
def giving_signs(home: Path, run_id: str) -> Iterator[None]:
    """A block in which other machines see that this run's process lives; they cannot look for the process itself."""
    done = threading.Event()

    def touch() -> None:
        while not done.wait(SIGN_SECONDS):
            with suppress(OSError):
                os.utime(_path(home, run_id))

    thread = threading.Thread(target=touch, daemon=True)
    if is_shared(home):
        thread.start()
    try:
        yield
    finally:
        done.set()


def _path(home: Path, run_id: str) -> Path:
    assert Path(run_id).name == run_id, f"run id {run_id!r} is no file name"
    return home / "runs" / f"{run_id}.json"


def _with_true_status(record: RunRecord, path: Path) -> RunRecord:
    """The record, marked `failed` if it says `running` and its process is gone, or gives no sign elsewhere."""
    if record.status != "running":
        return record
    here = record.host == socket.gethostname()
    if (
        process_lives(record.pid, record.process_started)
        if here
        else not is_shared(path.parent.parent) or _seconds_silent(path) < SILENCE_SECONDS
    ):
        return record
    last_sign = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat()
    error = PROCESS_ENDED if here else f"{record.host}{NO_SIGN}"
    return record.model_copy(update={"status": "failed", "error": error, "finished_at": last_sign})


def _seconds_silent(path: Path) -> float:
    """Age of a file by the clock of its disk, which is not always this machine's."""
    clock = path.with_name(f".clock-{socket.gethostname()}-{os.getpid()}")
    try:
        clock.touch()
        return clock.stat().st_mtime - path.stat().st_mtime
    except OSError:  # a home that this user may only read
        return datetime.now(UTC).timestamp() - path.stat().st_mtime
    finally:
        with suppress(OSError):
            clock.unlink(missing_ok=True)
