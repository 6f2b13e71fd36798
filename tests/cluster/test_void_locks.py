"""A shared disk whose file locks exclude nobody: SeaweedFS, mounted on both nodes. Leases and renames do the work."""

from __future__ import annotations

import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.store.shared_home import share
from tests.cluster.conftest import ONE_THREAD
from tests.cluster.jobs import PipelineJob, nothing_left, wait_until
from tests.cluster.slurm import CONTROLLER, Cluster
from tests.cluster.test_machines import doctor
from tests.remote.seaweed import free_port, program

pytestmark = [pytest.mark.slow, pytest.mark.cluster]


@pytest.fixture
def disk(cluster: Cluster, tmp_path: Path) -> Iterator[Path]:
    """A folder that both nodes mount, each for itself; this machine mounts it a third time, to look at it."""
    if not Path("/dev/fuse").exists():
        pytest.skip("needs FUSE")
    data, mount = tmp_path / "data", tmp_path / "disk"
    data.mkdir()
    mount.mkdir()
    master, volume, filer = (free_port() for _ in range(3))
    words = [
        "server", f"-dir={data}", f"-ip={CONTROLLER}", "-filer", f"-master.port={master}", f"-volume.port={volume}",
        f"-filer.port={filer}", "-master.volumeSizeLimitMB=64", "-volume.max=40",
    ]  # fmt: skip
    weed = str(program())
    with (tmp_path / "weed.log").open("wb") as log:
        running = [subprocess.Popen([weed, *words], stdout=log, stderr=log, cwd=tmp_path)]
        try:
            wait_until(lambda: _answers(f"http://{CONTROLLER}:{filer}/"), seconds=60)
            time.sleep(3.0)
            for where in ("n1", "n2", "here"):
                (tmp_path / f"cache-{where}").mkdir()
                command = [
                    weed,
                    "mount",
                    f"-filer={CONTROLLER}:{filer}",
                    f"-dir={mount}",
                    f"-cacheDir={tmp_path}/cache-{where}",
                ]
                there = command if where == "here" else cluster.on(where, *command)
                running.append(subprocess.Popen(there, stdout=log, stderr=log, cwd=tmp_path))
            for where in ("n1", "n2", "here"):
                look = ["mountpoint", "-q", str(mount)]
                asked = look if where == "here" else cluster.on(where, *look)
                wait_until(lambda asked=asked: subprocess.run(asked, check=False).returncode == 0, seconds=60)  # type: ignore[misc]
            yield mount
        finally:
            for node in ("n1", "n2"):
                subprocess.run(cluster.on(node, "umount", "-l", str(mount)), check=False)
            subprocess.run(["umount", "-l", str(mount)], check=False)
            for process in reversed(running):
                process.kill()
                process.wait()


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def test_void_locks_are_named_and_a_shared_home_builds_each_key_once_without_them(
    cluster: Cluster, disk: Path, tmp_path: Path
) -> None:
    home = disk / "home"
    home.mkdir()
    said = doctor(cluster, home, tmp_path / "unmarked.log")
    assert "FAIL  locks        n1 and n2 got one file lock at the same time: two could build one artifact" in said, said
    share(home)
    said = doctor(cluster, home, tmp_path / "marked.log")
    assert "n1 and n2 got one file lock at the same time; this home uses leases instead" in said, said
    assert "nothing is missing" in said, said
    jobs = [
        PipelineJob.start(cluster, home, tmp_path / f"{where}.log", *ONE_THREAD, until="pairs", where=where)
        for where in ("cpu", "gpu")
    ]
    assert [job.ended(seconds=300) for job in jobs] == [0, 0], [job.text() for job in jobs]
    built = [label for job in jobs for label in re.findall(r"^built:(.*)$", job.text(), re.MULTILINE)[0].split()]
    assert sorted(built) == sorted(["base", "problems", "teach-think", "teach-short", "pairs"])
    nothing_left()
