"""A Prefect server on the controller of the cluster, with the deployments of prefect.cluster.yaml and pilots for them.

server -> pools cpu, gpu, train -> deployments -> `prefect deployment run thinkless/full`, as a user types it
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.slurm import CONTROLLER, Cluster
from tests.integration.processes import ROOT

START_SECONDS = 180.0
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@dataclass
class PrefectServer:
    """A server, and what its clients have in their environment."""

    cluster: Cluster
    home: Path
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def variables(self) -> dict[str, str]:
        """Environment of everybody: one home, one server, a partition for each pool, pool gpu's as pilot.sh has it."""
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_API_URL": f"http://{CONTROLLER}:{self.port}/api",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "THINKLESS_HOME": str(self.home),
            "THINKLESS_SBATCH_CPU": "--partition=cpu",
            "THINKLESS_SBATCH_TRAIN": "--partition=all --nodes=2",
            "OMP_NUM_THREADS": "1",
            "ACCELERATE_USE_CPU": "true",
        }

    def environment(self) -> dict[str, str]:
        """The whole environment of a command."""
        return self.cluster.environment(**self.variables)

    def run(self, *words: str) -> str:
        """Run a command to its end; returns its output."""
        done = subprocess.run(words, cwd=ROOT, env=self.environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self) -> None:
        """Start the server, on the database that is there."""
        with (self.folder / "server.log").open("ab") as log:
            words = ["prefect", "server", "start", "--host", CONTROLLER, "--port", str(self.port)]
            self.process = subprocess.Popen(
                words, cwd=ROOT, env=self.environment(), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{self.variables['PREFECT_API_URL']}/health", timeout=5).read()
                return
            except OSError:
                assert time.monotonic() < end, (self.folder / "server.log").read_text()
                time.sleep(0.5)

    def kill(self) -> None:
        """kill -9 of the server and its children."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def full(self, *overrides: str, **parameters: object) -> str:
        """Start `thinkless/full` and a pilot for it; returns the id of its flow run."""
        given = [f"overrides={json.dumps(list(overrides))}", *(f"{k}={json.dumps(v)}" for k, v in parameters.items())]
        options = [word for text in given for word in ("-p", text)]
        said = self.run("prefect", "deployment", "run", "thinkless/full", *options)
        (flow_run,) = [line.split()[-1] for line in said.splitlines() if "UUID" in line]
        self.run("flows/prefect/pilot.sh", "cpu")
        return flow_run

    def ask(self, path: str, content: dict[str, Any] | None = None) -> Any:
        """An answer of the server's API."""
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(
            f"{self.variables['PREFECT_API_URL']}{path}", data=body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def flow_runs(self) -> list[dict[str, Any]]:
        """All flow runs, oldest first."""
        found: list[dict[str, Any]] = self.ask("/flow_runs/filter", {"limit": 200})
        return sorted(found, key=lambda run: str(run["created"]))

    def alive(self) -> list[str]:
        """Names of the flow runs that have not ended."""
        return [run["name"] for run in self.flow_runs() if run["state_type"] not in FINAL]

    def wait(self, flow_run: str, *, seconds: float, final: tuple[str, ...] = FINAL) -> dict[str, Any]:
        """The state of a flow run as soon as it has ended; raises TimeoutError with the logs of the pilots."""
        end = time.monotonic() + seconds
        while True:
            state: dict[str, Any] = self.ask(f"/flow_runs/{flow_run}")["state"]
            if state["type"] in final:
                return state
            if time.monotonic() > end:
                raise TimeoutError(f"flow run is {state['name']} after {seconds:g} s\n{self.logs()}")
            time.sleep(1.0)

    def logs(self) -> str:
        """What the pilots have printed, and what is in the queue."""
        logs = sorted((self.home / "pilots").glob("*.log"))
        return "\n".join([self.cluster.jobs(), *(f"--- {log.name}\n{log.read_text()[-4000:]}" for log in logs)])


@contextmanager
def serving(cluster: Cluster, home: Path, folder: Path) -> Iterator[PrefectServer]:
    """A server with pools and deployments."""
    folder.mkdir(parents=True)
    home.mkdir(parents=True, exist_ok=True)
    with socket.create_server((CONTROLLER, 0)) as probe:
        port = probe.getsockname()[1]
    server = PrefectServer(cluster, home, folder, port)
    server.start()
    try:
        for pool in ("cpu", "gpu", "train"):
            server.run("prefect", "work-pool", "create", pool, "--type", "process")
        server.run("prefect", "--no-prompt", "deploy", "--prefect-file", "prefect.cluster.yaml", "--all")
        server.run("prefect", "automation", "create", "--from-file", "flows/prefect/automations.cluster.yaml")
        yield server
    finally:
        cluster.cancel_all()
        server.kill()
