"""Two machines of a real Slurm as one: they agree or are refused, train to the same numbers, build nothing twice."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

from infra.runs import list_runs
from infra.store.artifact_store import ArtifactStore
from infra.store.shared_home import share
from tests.cluster.conftest import ONE_THREAD
from tests.cluster.jobs import PipelineJob, nothing_left
from tests.cluster.slurm import Cluster
from tests.integration.processes import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
CHANGED = "thinkless_core/training/sft_trainer.py"


def doctor(cluster: Cluster, home: Path, log: Path, **variables: str) -> str:
    """What `thinkless doctor --cluster` prints on both machines."""
    program = Path(sys.executable).with_name("thinkless")
    script = f"cd {ROOT}\n{program} doctor --cluster\necho exit code $?"
    given = {"THINKLESS_HOME": str(home), **variables}
    cluster.wait(cluster.batch(script, "--partition=all", "--nodes=2", log=log, variables=given), seconds=120)
    return log.read_text()


@contextmanager
def other_code_on(cluster: Cluster, node: str, tmp_path: Path) -> Iterator[None]:
    """On one node a module does something else."""
    other = tmp_path / "other.py"
    other.write_text((ROOT / CHANGED).read_text() + "\nOTHER = 1\n")
    subprocess.run(cluster.on(node, "mount", "--bind", str(other), str(ROOT / CHANGED)), check=True)
    try:
        yield
    finally:
        subprocess.run(cluster.on(node, "umount", str(ROOT / CHANGED)), check=True)


def test_doctor_finds_a_shared_home_fit_and_names_the_interface(cluster: Cluster, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    said = doctor(cluster, home, tmp_path / "unmarked.log")
    assert re.search(r"FAIL +home .* is not marked: run `thinkless share`", said), said
    assert said.endswith("exit code 2\n")
    share(home)
    said = doctor(cluster, home, tmp_path / "marked.log")
    assert "nothing is missing" in said, said
    for line in (
        "machines     n1, n2",
        "network      n2 is 10.77.3.12; its trainings talk through eth0",
        "names        every machine reaches every other by its name",
        "locks        file locks of n1 and n2 exclude each other; leases are used all the same",
        "publishing   of 20 files and 20 folders each was made by one machine",
    ):
        assert f"ok    {line}" in said, said


def test_doctor_refuses_other_code_a_wrong_interface_and_a_local_folder_that_is_none(
    cluster: Cluster, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    share(home, local=str(tmp_path / "seen-by-both"))
    with other_code_on(cluster, "n2", tmp_path):
        said = doctor(cluster, home, tmp_path / "log", THINKLESS_NETWORK_INTERFACE="ib7")
    assert re.search(rf"FAIL +code +not as on n1: {CHANGED} \(n2\)", said), said
    assert "n1 has no interface ib7 (THINKLESS_NETWORK_INTERFACE); it has lo, eth0" in said
    assert re.search(r"FAIL +home +n2 sees .*: name a folder of each machine's own disk", said), said
    nothing_left()


def test_a_training_on_machines_with_different_code_is_refused_and_names_the_module(
    cluster: Cluster, home: Path, tmp_path: Path
) -> None:
    with other_code_on(cluster, "n2", tmp_path):
        job = PipelineJob.start(
            cluster, home, tmp_path / "log", *ONE_THREAD, "sft.launch.processes=1", "sft.launch.machines=2", until="sft"
        )
        assert job.ended(seconds=120) == 2
    assert f"ConfigError: the code on n2 is not the code with which n1 made this stage's key: {CHANGED};" in job.text()
    nothing_left()


def test_two_machines_of_one_process_are_two_processes_of_one_machine(
    cluster: Cluster, home: Path, tmp_path: Path
) -> None:
    both = {}
    for name, processes, machines in (("one machine", 2, 1), ("two machines", 1, 2)):
        launch = [
            f"{stage}.launch.{key}"
            for stage in ("sft", "rl")
            for key in (f"processes={processes}", f"machines={machines}")
        ]
        job = PipelineJob.start(cluster, home, tmp_path / f"{name}.log", *ONE_THREAD, *launch, until="rl")
        assert job.ended(seconds=300) == 0, job.text()
        uses = {use.stage: use.key for use in list_runs(home)[-1].stages}
        both[name] = ArtifactStore(home).path("rl", uses["rl"])
    one, two = both.values()
    assert one != two, "the launch is part of the key"
    weights, others = (load_file(folder / "model" / "model.safetensors") for folder in (one, two))
    assert max(float((weights[name] - others[name]).abs().max()) for name in weights) < 1e-5
    numbers, again = (
        {(row["step"], row["name"]): row["value"] for row in pq.read_table(folder / "metrics.parquet").to_pylist()}
        for folder in (one, two)
    )
    timeless = [name for name in numbers if "second" not in name[1]]
    assert {name: again[name] for name in timeless} == pytest.approx(
        {name: numbers[name] for name in timeless}, abs=1e-5
    )
    nothing_left()


def test_one_home_started_on_both_machines_at_once_builds_each_key_once(cluster: Cluster, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    share(home)
    jobs = [
        PipelineJob.start(cluster, home, tmp_path / f"{where}.log", *ONE_THREAD, until="sft", where=where)
        for where in ("cpu", "gpu")
    ]
    assert [job.ended(seconds=300) for job in jobs] == [0, 0], [job.text() for job in jobs]
    built = [label for job in jobs for label in re.findall(r"^built:(.*)$", job.text(), re.MULTILINE)[0].split()]
    assert sorted(built) == sorted(["base", "problems", "teach-think", "teach-short", "pairs", "sft"])
    hosts = {run.host for run in list_runs(home)}
    assert hosts == {"n1", "n2"}
    assert {run.status for run in list_runs(home)} == {"completed"}
    assert not list((home / "artifacts").glob("*/*.part"))
    assert not list((home / "locks").iterdir()), "a lease was left"
