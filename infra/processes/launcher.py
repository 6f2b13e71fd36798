"""Runs one job in several processes: starts them with `accelerate launch`, reads their messages, ends them.

Launch -> (srun on several machines ->) accelerate launch -> N processes (infra/processes/launched_process.py)
       -> messages and signs of life (infra/processes/pulse.py) while they work
       -> return, or one error that names the process that failed, or that the others wait for

No process outlives the call. If the call is interrupted, it asks all processes to end, and kills the rest later.
If this process is killed, a guard ends the launcher, and each process notices that its parent is gone.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from infra.disk import writing
from infra.processes.child_process import ends_with_this_process
from infra.processes.launched_process import JOB_FILE, MESSAGES_FILE, Failure, last_lines, log_file, signal_words
from infra.processes.machines import Machines
from infra.processes.pulse import PulseWatch
from schemas.configs.training import ACCELERATE_CONFIGS
from schemas.errors import ConfigError, ThinklessError, TrainingError, nearest

POLL_SECONDS = 0.1
PATIENCE_SECONDS = 40.0
"""Time between asking the launcher to end and killing it; the launcher itself gives its processes 30 s."""
LAUNCHER_LOG = "launcher.log"
_ENDED_BY_SIGNAL = re.compile(r"rank\s*: (\d+) \(local_rank: \d+\)\s+exitcode\s*: -(\d+)")
"""A process in the table of failures that the launcher prints when it ends."""
_NODE_FAILURE = re.compile(r"^srun: error: Node failure on (\S+)", flags=re.MULTILINE)
_CONSEQUENCES = (signal.SIGTERM, signal.SIGABRT)
"""Signals that follow a failure: the launcher ends the other processes, or their communication library aborts them."""

Message = Mapping[str, Any]


@dataclass(frozen=True)
class Launch:
    """A job for several processes."""

    label: str
    """Its name in errors."""
    module: str
    """Run in each process as `python -m MODULE FOLDER`."""
    job: Mapping[str, Any]
    """Content of job.json; any JSON value."""
    processes: int
    """On each machine."""
    accelerate_config: str
    """A name in infra/processes/accelerate/, or a path."""
    folder: Path
    """Folder for job, messages and logs, which all machines see; emptied at the start."""
    machines: Machines
    longest_wait_seconds: float = math.inf
    """How long processes wait for one that does not come."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The machine of each process."""
        return tuple(host for host in self.machines.hosts for _ in range(self.processes))


def accelerate_config_path(name: str) -> Path:
    """The file of an accelerate configuration; raises ConfigError if there is none."""
    shipped = Path(str(resources.files("infra").joinpath("processes", "accelerate")))
    path = shipped / f"{name}.yaml" if name in ACCELERATE_CONFIGS else Path(name).expanduser()
    if not path.is_file():
        hint = nearest(name, ACCELERATE_CONFIGS)
        raise ConfigError(f"launch.accelerate_config: {name!r} is neither a file nor shipped; {hint}")
    return path


def shards_the_model(name: str) -> bool:
    """True if an accelerate configuration splits the model over the processes (FSDP)."""
    text = accelerate_config_path(name).read_text(encoding="utf-8")
    found = re.search(r"^[^#\n]*\bdistributed_type[\"']?\s*:\s*[\"']?(\w+)", text, flags=re.MULTILINE)
    return found is not None and found[1] == "FSDP"


def run_launched(launch: Launch, *, on_message: Callable[[Message], None]) -> None:
    """Run the job in its processes; calls `on_message` with every message of the main one.

    Raises the error that stopped the job: an error of schemas/errors.py unchanged, else TrainingError with the process
    and the last lines of its log.
    """
    config = accelerate_config_path(launch.accelerate_config)
    with writing(launch.folder):
        shutil.rmtree(launch.folder, ignore_errors=True)
        launch.folder.mkdir(parents=True)
        (launch.folder / JOB_FILE).write_text(json.dumps(launch.job), encoding="utf-8")
        log = (launch.folder / LAUNCHER_LOG).open("wb")
    options = ("--config_file", config, "--module", launch.module, launch.folder)
    with log:
        child = subprocess.Popen(
            launch.machines.words(options, processes=launch.processes),
            env={**os.environ, **launch.machines.variables()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    guard = ends_with_this_process(child.pid)
    messages = _new_messages(launch.folder / MESSAGES_FILE)
    watch = PulseWatch(launch.folder, launch.hosts, launch.longest_wait_seconds)
    lost: str | None = None
    try:
        while True:
            ended = child.poll() is not None
            for message in next(messages):
                on_message(message)
            lost = None if ended else watch.look(POLL_SECONDS)
            if ended or lost:
                break
            time.sleep(POLL_SECONDS)
    finally:
        _end(child)
        guard.kill()  # before the child's number can belong to another process
        guard.wait()
    if lost:
        raise TrainingError(
            f"{launch.label}: {lost}; all were ended. The last good checkpoint is kept, and the same command goes on "
            f"from there. Last lines of {launch.folder / LAUNCHER_LOG}:\n{last_lines(launch.folder / LAUNCHER_LOG)}"
        )
    if child.returncode:
        raise _failure(launch, code=child.returncode)


def _new_messages(path: Path) -> Iterator[list[Message]]:
    """Each `next` returns the messages written since the last one; an unfinished line is returned later."""
    place = 0
    while True:
        lines: list[bytes] = []
        if path.exists():
            with path.open("rb") as file:
                file.seek(place)
                lines = [line for line in file if line.endswith(b"\n")]
            place += sum(map(len, lines))
        yield [json.loads(line) for line in lines]


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ask the launcher to end its processes and itself; kill it after PATIENCE_SECONDS."""
    try:
        if child.poll() is None:
            child.terminate()
            child.wait(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        # Kills the launcher's session. Processes in other sessions notice that their parent is gone.
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _failure(launch: Launch, *, code: int) -> ThinklessError:
    """The error of a failed launch: a process ended by a signal, else the first reported error, else the launcher's.

    If one process is gone, the others soon report that they cannot reach it. Those reports are not the reason.
    """
    table = (launch.folder / LAUNCHER_LOG).read_text(encoding="utf-8", errors="replace")
    if node := _NODE_FAILURE.search(table):
        return TrainingError(
            f"{launch.label}: Slurm lost machine {node[1]}; the last good checkpoint is kept, and the same command "
            "goes on from there"
        )
    for rank, number in _ENDED_BY_SIGNAL.findall(table):
        if int(number) not in _CONSEQUENCES:
            return _process_error(launch, rank=int(rank), what=signal_words(int(number)))
    failures = {
        rank: failure for rank in range(len(launch.hosts)) if (failure := Failure.of(launch.folder, rank)) is not None
    }
    if not failures:
        return TrainingError(
            f"{launch.label}: accelerate launch of {len(launch.hosts)} processes ended with exit code {code} before "
            f"any of them reported an error; its last lines:\n{last_lines(launch.folder / LAUNCHER_LOG)}"
        )
    rank, first = min(failures.items(), key=lambda item: item[1].at)
    if first.ours:
        return first.as_error(otherwise=TrainingError)
    return _process_error(launch, rank=rank, what=f"met {first.kind}: {first.message}")


def _process_error(launch: Launch, *, rank: int, what: str) -> TrainingError:
    log = log_file(launch.folder, rank)
    where = f" on {launch.hosts[rank]}" if len(launch.machines.hosts) > 1 else ""
    return TrainingError(
        f"{launch.label}: process {rank} of {len(launch.hosts)}{where} {what}; the last good checkpoint is kept, and "
        f"the same command goes on from there. Last lines of {log}:\n{last_lines(log)}"
    )
