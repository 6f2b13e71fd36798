"""Machines of a launch, without Slurm and with a stand-in for two of its commands (the real ones: tests/cluster)."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from infra.processes.machines import Machines
from schemas.errors import ConfigError


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An allocation of two nodes, of which `scontrol` tells the names."""
    for name, line in (("scontrol", "printf 'a1\\na2\\n'"), ("srun", "true")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SLURM_JOB_NODELIST", "a[1-2]")
    monkeypatch.setenv("SLURM_JOB_ID", "17")


def test_one_machine_needs_no_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_NODELIST", raising=False)
    machines = Machines.allocated(1, label="rl")
    assert machines.hosts == (socket.gethostname(),)
    words = machines.words(["--module", "m"], processes=3)
    assert words[0] == sys.executable
    assert words[-6:] == ["--num_processes", "3", "--num_machines", "1", "--module", "m"]


def test_two_machines_without_an_allocation_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_NODELIST", raising=False)
    with pytest.raises(ConfigError, match=r"^rl\.launch\.machines=2 needs an allocation.*sbatch --nodes=2"):
        Machines.allocated(2, label="rl")


@pytest.mark.usefixtures("slurm")
def test_more_machines_than_the_allocation_has_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"rl\.launch\.machines=3 needs 3 machines, .*allocation 17 has 2 \(a1, a2\)"):
        Machines.allocated(3, label="rl")


@pytest.mark.usefixtures("slurm")
def test_srun_starts_a_launcher_on_each_machine_and_the_first_is_where_they_meet() -> None:
    machines = Machines.allocated(2, label="rl", interface="ib0")
    words = machines.words(["--module", "m"], processes=4)
    assert words[:5] == ["srun", "--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--nodelist=a1,a2"]
    assert words[words.index("--main_process_ip") + 1] == "a1"
    assert words[words.index("--num_processes") + 1] == "8"
    assert machines.variables()["GLOO_SOCKET_IFNAME"] == machines.variables()["NCCL_SOCKET_IFNAME"] == "ib0"
