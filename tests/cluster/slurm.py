"""A real Slurm of two machines on one: munged, slurmctld and two slurmd, each of these in namespaces of its own.

namespaces of network, host name and mounts -> nodes n1 and n2 on a bridge, each with a /var/tmp of its own
                                            -> partitions cpu (n1), gpu (n2, with what Slurm takes for a GPU),
                                               all (both)

Needs root, slurm-wlm, munge and iproute2. As root without systemd: no cgroups, no accounting. Machines share all other
files, as a cluster with a home on a shared disk does. `python -m tests.cluster.slurm` says whether it runs here.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "sinfo", "ip", "nsenter", "unshare")
BRIDGE = "thinklessbr"
NODES = {"n1": "10.77.3.11", "n2": "10.77.3.12"}
CONTROLLER = "10.77.3.1"
START_SECONDS = 60.0
SMALL_DISK = 24 << 20

CONFIGURATION = """\
ClusterName=thinkless
SlurmctldHost=ctl({controller})
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/log/ctld
SlurmdLogFile={folder}/log/slurmd-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
GresTypes=gpu
SlurmdTimeout=10
KillWait=5
MailProg=/bin/true
NodeName=n1 NodeAddr={n1} CPUs=2 RealMemory=4000
NodeName=n2 NodeAddr={n2} CPUs=2 RealMemory=4000 Gres=gpu:1
PartitionName=cpu Nodes=n1 Default=YES MaxTime=60 State=UP OverSubscribe=FORCE:8
PartitionName=gpu Nodes=n2 MaxTime=60 State=UP OverSubscribe=FORCE:8
PartitionName=all Nodes=n1,n2 MaxTime=60 State=UP OverSubscribe=FORCE:8
"""


def missing_for_a_cluster() -> str | None:
    """What this machine lacks for it; None if nothing."""
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if lacking:
        return f"needs {', '.join(lacking)} (packages slurm-wlm, munge, iproute2)"
    return None if os.geteuid() == 0 else "needs root, for namespaces"


@dataclass
class Cluster:
    """A Slurm that runs."""

    folder: Path
    slurmd: dict[str, subprocess.Popen[bytes]]

    @property
    def small_disk(self) -> Path:
        """A disk of SMALL_DISK bytes that both nodes see."""
        return self.folder / "small"

    def environment(self, **variables: str) -> dict[str, str]:
        """Environment variables of its commands."""
        own = {"SLURM_CONF": str(self.folder / "slurm.conf")}
        return {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")} | own | variables

    def batch(self, script: str, *options: str, log: Path, variables: Mapping[str, str] | None = None) -> int:
        """Submit a shell script; returns the number of its job."""
        words = ["sbatch", "--parsable", f"--output={log}", *options]
        text = f"#!/bin/bash\n{script}\n"
        done = subprocess.run(
            words, input=text, capture_output=True, text=True, check=True, env=self.environment(**(variables or {}))
        )
        return int(done.stdout)

    def jobs(self, columns: str = "%i %P %T %N", *options: str) -> str:
        """What squeue prints of all jobs that have not ended, or as options say."""
        words = ["squeue", "--noheader", f"--format={columns}", *options]
        return subprocess.run(words, capture_output=True, text=True, check=True, env=self.environment()).stdout

    def wait(self, job: int, *, seconds: float) -> None:
        """Return when a job is no longer in the queue; raises TimeoutError."""
        end = time.monotonic() + seconds
        while any(line.split()[0] == str(job) for line in self.jobs().splitlines()):
            if time.monotonic() > end:
                raise TimeoutError(f"job {job} is still there after {seconds:g} s:\n{self.jobs()}")
            time.sleep(0.3)

    def cancel_all(self) -> None:
        """End every job."""
        subprocess.run(["scancel", "--user=root"], check=False, env=self.environment())

    def on(self, node: str, *words: str) -> list[str]:
        """A command line that runs inside a node, outside of Slurm."""
        return ["nsenter", f"--target={self.slurmd[node].pid}", "--net", "--uts", "--mount", *words]

    def start_node(self, node: str) -> None:
        """Start the slurmd of a node."""
        tmp = self.folder / f"tmp-{node}"
        tmp.mkdir(exist_ok=True)
        inside = (
            f"mount --bind {self.folder}/hosts /etc/hosts; mount --bind {tmp} /var/tmp; hostname {node}; "
            f"exec slurmd -D -N {node}"
        )
        # `ip netns exec` would hide /sys/fs/cgroup, without which slurmd ends.
        words = ["nsenter", f"--net=/run/netns/{node}", "unshare", "--uts", "--mount", "sh", "-c", inside]
        with (self.folder / "log" / f"{node}.out").open("ab") as log:
            self.slurmd[node] = subprocess.Popen(
                words, stdout=log, stderr=subprocess.STDOUT, env=self.environment(), start_new_session=True
            )

    def wait_until_idle(self) -> None:
        """Return when every node can take a job; raises TimeoutError."""
        end = time.monotonic() + START_SECONDS
        words = ["sinfo", "--noheader", "--Node", "--format=%T"]
        while True:
            found = subprocess.run(words, capture_output=True, text=True, check=False, env=self.environment()).stdout
            if found.split() and set(found.split()) == {"idle"}:
                return
            if time.monotonic() > end:
                raise TimeoutError(f"nodes are not ready after {START_SECONDS:g} s: {found!r}; see {self.folder}/log")
            time.sleep(0.3)


@contextmanager
def two_nodes(folder: Path) -> Iterator[Cluster]:
    """Start it, and end it with all that it has started."""
    for name in ("state", "log", "munge", "spool-n1", "spool-n2"):
        (folder / name).mkdir(parents=True)
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
    (folder / "gres.conf").write_text("NodeName=n2 Name=gpu File=/dev/zero\n")
    (folder / "munge" / "key").write_bytes(secrets.token_bytes(1024))
    (folder / "munge" / "key").chmod(0o400)
    names = {"localhost": "127.0.0.1", "ctl": CONTROLLER, **NODES}
    (folder / "hosts").write_text("".join(f"{address} {name}\n" for name, address in names.items()))
    (folder / "slurm.conf").write_text(CONFIGURATION.format(folder=folder, controller=CONTROLLER, **NODES))
    cluster = Cluster(folder, {})
    daemons: list[subprocess.Popen[bytes]] = []
    _remove_network()
    cluster.small_disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(cluster.small_disk)]
    subprocess.run(words, check=True)  # before the nodes, whose mounts are their own from their start
    try:
        _add_network()
        files = {"key-file": "key", "socket": "sock", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        munge = [f"--{option}={folder}/munge/{file}" for option, file in files.items()]
        start = [["munged", "--foreground", "--force", *munge]]
        start.append(["unshare", "--uts", "sh", "-c", "hostname ctl; exec slurmctld -D"])
        for words in start:
            with (folder / "log" / f"{words[0]}.out").open("wb") as log:
                daemons.append(
                    subprocess.Popen(
                        words, stdout=log, stderr=subprocess.STDOUT, env=cluster.environment(), start_new_session=True
                    )
                )
            time.sleep(2.0)
        for node in NODES:
            cluster.start_node(node)
        cluster.wait_until_idle()
        yield cluster
    finally:
        cluster.cancel_all()
        time.sleep(1.0)
        for daemon in (*cluster.slurmd.values(), *reversed(daemons)):
            daemon.terminate()
            try:
                daemon.wait(timeout=10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        _remove_network()
        subprocess.run(["umount", str(cluster.small_disk)], check=False)


def _add_network() -> None:
    _ip(f"link add {BRIDGE} type bridge", f"addr add {CONTROLLER}/24 dev {BRIDGE}", f"link set {BRIDGE} up")
    for node, address in NODES.items():
        _ip(f"netns add {node}", f"link add to-{node} type veth peer name eth0 netns {node}")
        _ip(f"link set to-{node} master {BRIDGE} up", f"-n {node} addr add {address}/24 dev eth0")
        _ip(f"-n {node} link set eth0 up", f"-n {node} link set lo up")


def _remove_network() -> None:
    for node in NODES:
        subprocess.run(["ip", "netns", "del", node], capture_output=True, check=False)
    subprocess.run(["ip", "link", "del", BRIDGE], capture_output=True, check=False)


def _ip(*commands: str) -> None:
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True, capture_output=True)


def main() -> None:
    """Start it, have both nodes say their name, and end it; an error where that does not come to pass."""
    with TemporaryDirectory() as folder, two_nodes(Path(folder) / "slurm") as cluster:
        words = ["srun", "--partition=all", "--nodes=2", "--ntasks=2", "hostname"]
        said = subprocess.run(words, check=True, env=cluster.environment(), capture_output=True, text=True, timeout=60)
    if sorted(said.stdout.split()) != sorted(NODES):
        raise SystemExit(f"expected the names of {sorted(NODES)}, got {said.stdout!r} {said.stderr!r}")


if __name__ == "__main__":
    main()
