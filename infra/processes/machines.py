"""Several machines for one launch: the allocation that Slurm gave, and the command that starts a launcher on each.

SLURM_JOB_NODELIST -> names of the machines -> srun, one task on each -> accelerate launch there, with its number
Slurm places and ends the processes, torch joins them: nothing of that is done here.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from schemas.errors import ConfigError

JOIN = 'exec "$0" -m accelerate.commands.launch --machine_rank "$SLURM_NODEID" "$@"'
"""Shell words of each task: only there Slurm says which machine it is."""
INTERFACE_VARIABLES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME", "TP_SOCKET_IFNAME")
"""Variables in which gloo, NCCL and tensorpipe are told the network interface."""


@dataclass(frozen=True)
class Machines:
    """The machines of one launch, the first of which has process 0."""

    hosts: tuple[str, ...]
    interface: str | None = None
    """The network interface that they talk through; None: it is left to torch and NCCL."""

    @classmethod
    def allocated(cls, number: int, *, label: str, interface: str | None = None) -> Machines:
        """The first `number` machines of the allocation that this process runs in; raises ConfigError if it has fewer.

        One machine is this one, and needs no allocation.
        """
        if number == 1:
            return cls((socket.gethostname(),), interface)
        return cls(all_allocated(f"{label}.launch.machines={number}", at_least=number)[:number], interface)

    def words(self, options: Sequence[object], *, processes: int) -> list[str]:
        """The command that starts `accelerate launch` with these options on every machine, with `processes` on each."""
        number = len(self.hosts)
        all_of_them = ["--num_processes", processes * number, "--num_machines", number]
        if number == 1:
            # Port 0 takes any free port, so that two launches can run at the same time.
            join = [sys.executable, "-m", "accelerate.commands.launch", "--main_process_port", 0]
        else:
            meet = ["--rdzv_backend", "static", "--main_process_ip", self.hosts[0], "--main_process_port", self._port()]
            join = [*one_task_each(self), "/bin/sh", "-c", JOIN, sys.executable, *meet]
        return [str(word) for word in (*join, *all_of_them, *options)]

    def variables(self) -> dict[str, str]:
        """Environment variables for all processes."""
        return dict.fromkeys(INTERFACE_VARIABLES, self.interface) if self.interface else {}

    def _port(self) -> int:
        """A port that is free on the first machine, as far as can be seen from here."""
        if self.hosts[0] != socket.gethostname():
            return random.SystemRandom().randrange(20_000, 30_000)
        with closing(socket.socket()) as probe:
            probe.bind(("", 0))
            return int(probe.getsockname()[1])


def one_task_each(machines: Machines) -> list[str]:
    """The words of `srun` that run what follows once on each machine; if one fails, all are ended."""
    number = len(machines.hosts)
    where = [f"--nodes={number}", f"--ntasks={number}", "--ntasks-per-node=1", f"--nodelist={','.join(machines.hosts)}"]
    # The batch step, in which this process runs, holds the same cores; a task may use all of its machine's.
    return ["srun", *where, "--overlap", "--cpu-bind=none", "--kill-on-bad-exit=1", "--export=ALL"]


def all_allocated(what: str, *, at_least: int) -> tuple[str, ...]:
    """The machines of Slurm's allocation; raises ConfigError if this process runs in none, or in a smaller one.

    `what` needs them, in errors.
    """
    listed = os.environ.get("SLURM_JOB_NODELIST")
    if not listed or shutil.which("srun") is None or shutil.which("scontrol") is None:
        raise ConfigError(
            f"{what} needs an allocation of Slurm, of {at_least} machines, and this process runs in none; start it, or "
            f"its Prefect worker, with `sbatch --nodes={at_least} ...` (docs/cluster.md)"
        )
    found = subprocess.run(["scontrol", "show", "hostnames", listed], capture_output=True, text=True, check=False)
    hosts = tuple(found.stdout.split())
    if found.returncode or not hosts:
        raise ConfigError(f"{what}: Slurm does not say which machines {listed} are: {found.stderr.strip()}")
    if len(hosts) < at_least:
        raise ConfigError(
            f"{what} needs {at_least} machines, and Slurm's allocation {os.environ.get('SLURM_JOB_ID')} has "
            f"{len(hosts)} ({', '.join(hosts)}); ask for more (sbatch --nodes={at_least})"
        )
    return hosts
