"""The small pipeline as a job of Slurm, and the processes that it has on the nodes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.cluster.slurm import Cluster
from tests.integration.driver import command
from tests.integration.processes import ROOT

OURS = ("tasks.running.training_process", "tests.integration.driver", "flows.doctor.cluster_node")
"""Modules of processes that may be left of no job."""


@dataclass
class PipelineJob:
    """A pipeline that runs in an allocation."""

    cluster: Cluster
    number: int
    log: Path

    @classmethod
    def start(
        cls, cluster: Cluster, home: Path, log: Path, *overrides: str, until: str, where: str = "all", **variables: str
    ) -> PipelineJob:
        """Start it in a partition, on all of its nodes."""
        words = shlex.join([sys.executable, *command(home, *overrides, until=until)])
        script = f"cd {ROOT}\n{words}\necho the pipeline ended with $?"
        nodes = "2" if where == "all" else "1"
        given = {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", **variables}
        number = cluster.batch(script, f"--partition={where}", f"--nodes={nodes}", log=log, variables=given)
        return cls(cluster, number, log)

    def text(self) -> str:
        """What it has printed."""
        return self.log.read_text() if self.log.exists() else ""

    def ended(self, *, seconds: float) -> int:
        """Its exit code as soon as it has ended, and its job too."""
        wait_until(lambda: "the pipeline ended with" in self.text(), seconds=seconds, what=self.text)
        self.cluster.wait(self.number, seconds=60)
        return int(re.findall(r"the pipeline ended with (\d+)", self.text())[-1])


def wait_until(there: Callable[[], object], *, seconds: float, what: Callable[[], str] = lambda: "") -> None:
    """Return as soon as something is true; raises TimeoutError with some words."""
    end = time.monotonic() + seconds
    while not there():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s\n{what()}")
        time.sleep(0.2)


def ours() -> list[psutil.Process]:
    """Processes of the project on either node, or left by one."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if any(module in words for module in OURS) and "accelerate.commands.launch" not in words:
            found.append(process)
    return found


def rank(number: int) -> psutil.Process:
    """The training process of this rank."""
    (found,) = [
        process
        for process in ours()
        if "tasks.running.training_process" in process.cmdline() and process.environ().get("RANK") == str(number)
    ]
    return found


def nothing_left(*, seconds: float = 30.0) -> None:
    """Return when no process of the project is there any more."""
    wait_until(lambda: not ours(), seconds=seconds, what=lambda: "\n".join(str(p.cmdline()) for p in ours()))


def processes_in(node: str) -> list[int]:
    """Every process in a node's network."""
    words = ["ip", "netns", "pids", node]
    return [int(pid) for pid in subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()]
