"""What dies on a cluster: a rank, the network, a slurmd, a machine. The run says so and ends, the next one goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from infra.runs import list_runs, load_run
from tests.cluster.conftest import ONE_THREAD
from tests.cluster.jobs import PipelineJob, nothing_left, processes_in, rank, wait_until
from tests.cluster.slurm import Cluster
from tests.integration.test_kill_and_resume import first_progress, newest_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
LONG = (*ONE_THREAD, "sft.launch.processes=1", "sft.launch.machines=2", "sft.steps=500", "sft.checkpoint_every=20")
WAIT_SECONDS = 8


def trained_half(cluster: Cluster, home: Path, tmp_path: Path, *overrides: str) -> PipelineJob:
    """A warm-up on two machines that is in the middle, with a checkpoint."""
    cluster.wait_until_idle()
    variables = {"THINKLESS_LONGEST_WAIT_SECONDS": str(WAIT_SECONDS)}
    job = PipelineJob.start(cluster, home, tmp_path / "first.log", *LONG, *overrides, until="sft", **variables)
    stage = home / "artifacts" / "sft"
    wait_until(lambda: newest_checkpoint(stage) >= 40 or "ended with" in job.text(), seconds=120, what=job.text)
    assert "ended with" not in job.text(), job.text()
    return job


def goes_on(cluster: Cluster, home: Path, tmp_path: Path, *overrides: str) -> None:
    """The next run takes up the checkpoint and comes to the end."""
    step = newest_checkpoint(home / "artifacts" / "sft")
    assert step >= 40
    cluster.wait_until_idle()
    job = PipelineJob.start(cluster, home, tmp_path / "second.log", *LONG, *overrides, until="sft")
    assert job.ended(seconds=200) == 0, job.text()
    assert first_progress(job.text(), "sft") == step + 1
    nothing_left()
    *_, before, last = list_runs(home)
    if before.status == "running":  # a disk that was full took no word of its end; its signs are old soon
        os.utime(home / "runs" / f"{before.run_id}.json", (1, 1))
        before = load_run(home, before.run_id)
        assert before.error == "n1 gives no sign of it"
    assert before.status in ("failed", "cancelled")
    assert last.status == "completed"


def test_a_killed_rank_is_named_with_its_machine(cluster: Cluster, home: Path, tmp_path: Path) -> None:
    job = trained_half(cluster, home, tmp_path)
    rank(1).kill()
    assert job.ended(seconds=60) == 2
    assert "TrainingError: sft: process 1 of 2 on n2 was ended by SIGKILL" in job.text()
    nothing_left()
    goes_on(cluster, home, tmp_path)


def test_a_rank_that_hangs_is_named_within_the_limit(cluster: Cluster, home: Path, tmp_path: Path) -> None:
    job = trained_half(cluster, home, tmp_path)
    rank(0).send_signal(signal.SIGSTOP)
    assert job.ended(seconds=60) == 2
    assert "TrainingError: sft: process 0 of 2 on n1 has given no sign for 9 s" in job.text()
    nothing_left()
    assert newest_checkpoint(home / "artifacts" / "sft") >= 40


def test_a_network_that_goes_away_is_blamed_within_the_limit(cluster: Cluster, home: Path, tmp_path: Path) -> None:
    job = trained_half(cluster, home, tmp_path)
    subprocess.run(["ip", "link", "set", "to-n2", "down"], check=True)
    try:
        assert job.ended(seconds=120) == 2
        said = job.text()
        assert "did not come to meeting" in said or "none got through within 9 s" in said, said
        nothing_left(seconds=60)
    finally:
        subprocess.run(["ip", "link", "set", "to-n2", "up"], check=True)
    assert newest_checkpoint(home / "artifacts" / "sft") >= 40


def test_a_machine_that_is_gone_ends_the_run(cluster: Cluster, home: Path, tmp_path: Path) -> None:
    job = trained_half(cluster, home, tmp_path)
    for pid in processes_in("n2"):
        os.kill(pid, signal.SIGKILL)
    cluster.slurmd["n2"].wait()
    try:
        assert job.ended(seconds=120) == 2
        nothing_left()
    finally:
        cluster.start_node("n2")
    goes_on(cluster, home, tmp_path)


def test_a_slurmd_that_is_gone_leaves_nothing_running(cluster: Cluster, home: Path, tmp_path: Path) -> None:
    """Slurm takes its machine for lost, ends the job, and would submit it anew two minutes later."""
    long = "sft.steps=4000"  # until Slurm misses the node, 30 to 40 s
    trained_half(cluster, home, tmp_path, long)
    os.kill(cluster.slurmd["n2"].pid, signal.SIGKILL)
    cluster.slurmd["n2"].wait()
    try:
        nothing_left(seconds=150)
    finally:
        cluster.start_node("n2")
    cluster.cancel_all()
    goes_on(cluster, home, tmp_path, long)


def test_a_full_shared_disk_is_named_and_nothing_is_lost(cluster: Cluster, home: Path, tmp_path: Path) -> None:
    small = cluster.small_disk / "home"
    shutil.copytree(home, small)
    filler = cluster.small_disk / "filler"
    try:
        job = PipelineJob.start(cluster, small, tmp_path / "first.log", *LONG, until="sft")
        wait_until(lambda: newest_checkpoint(small / "artifacts" / "sft") >= 40, seconds=120, what=job.text)
        with suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(bytes(1 << 16))
        assert job.ended(seconds=120) == 2, job.text()
        assert "no space left on the device" in job.text(), job.text()
        nothing_left()
        filler.unlink()
        goes_on(cluster, small, tmp_path)
    finally:
        shutil.rmtree(small)
        filler.unlink(missing_ok=True)
