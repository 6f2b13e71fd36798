"""`prefect deployment run thinkless/full` on two machines: stages in the pools of their class, and what dies there."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.runs import list_runs
from infra.store.artifact_store import ArtifactStore
from tests.cluster.conftest import ONE_THREAD
from tests.cluster.jobs import nothing_left, wait_until
from tests.cluster.prefect_server import PrefectServer, serving
from tests.cluster.slurm import Cluster
from tests.cluster.test_machines import CHANGED, other_code_on
from tests.integration.driver import LABELS, SMALL, run_pipeline
from tests.integration.test_kill_and_resume import newest_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.cluster]
LONG = ("sft.launch.processes=1", "sft.launch.machines=2", "sft.steps=1200", "sft.checkpoint_every=20")
PLACES = {
    "n1": {"problems", "pairs", "report", "sft", "rl"},  # pools cpu, and train, whose first machine it is
    "n2": {"base", "teach", "evaluate"},
}


@pytest.fixture(scope="module")
def server(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """One server and one shared home for all tests here."""
    folder = tmp_path_factory.mktemp("prefect")
    with serving(cluster, folder / "home", folder / "server") as running:
        running.run("thinkless", "share")
        yield running


def test_stages_run_in_two_partitions_to_the_bytes_of_one_machine(server: PrefectServer, tmp_path: Path) -> None:
    flow_run = server.full(*SMALL, *ONE_THREAD)
    state = server.wait(flow_run, seconds=500)
    assert state["type"] == "COMPLETED", f"{state['message']}\n{server.logs()}"
    alone = run_pipeline(tmp_path / "alone", *ONE_THREAD)
    built = {(manifest.label, manifest.key): manifest.digest for manifest in ArtifactStore(server.home).manifests()}
    expected = {(label, artifact.key): artifact.digest for label, artifact in alone.artifacts.items()}
    assert set(built) == set(expected)
    assert {label for label, key in built if built[label, key] != expected[label, key]} <= {"report"}
    places: dict[str, set[str]] = {"n1": set(), "n2": set()}
    for run in list_runs(server.home):
        places[run.host] |= {use.stage for use in run.stages if not use.cached}
    assert places == PLACES
    assert {run["work_pool_name"] for run in server.flow_runs()} == {"cpu", "gpu", "train"}
    assert all(run["state_name"] == "Completed" for run in server.flow_runs())
    # There is one GPU: if a job held it for longer than its stage, the next stage would wait for ever.
    jobs = {tuple(line.split()) for line in server.cluster.jobs("%j %b", "--states=all").splitlines()}
    pilots = {(name, held) for name, held in jobs if name.startswith("thinkless-")}
    assert pilots == {("thinkless-cpu", "N/A"), ("thinkless-gpu", "gres:gpu:1"), ("thinkless-train", "N/A")}
    rows = server.run("thinkless", "sql", "select count(*) as n from artifacts", "--format", "csv").split()
    assert rows[-1] == str(len(LABELS))
    nothing_left()


def test_other_code_on_the_other_machine_is_refused_and_the_module_named(
    server: PrefectServer, cluster: Cluster, tmp_path: Path
) -> None:
    with other_code_on(cluster, "n1", tmp_path):
        # The flow is planned on n1, and has evaluate built on n2, where sft's code is another one.
        flow_run = server.full(*SMALL, *ONE_THREAD, "evaluate.limit=5", until="evaluate")
        state = server.wait(flow_run, seconds=300)
    assert state["type"] == "FAILED", server.logs()
    assert re.search(r"sft: n\d comes to key \w{8}, and the flow that asks for it to \w{8}: ", state["message"]), state
    assert CHANGED in state["message"]


def sft_in_the_middle(server: PrefectServer, *overrides: str) -> tuple[str, Path]:
    """A pipeline whose warm-up is in the middle on two machines."""
    flow_run = server.full(*SMALL, *ONE_THREAD, *LONG, *overrides, until="sft")
    stage = server.home / "artifacts" / "sft"
    wait_until(lambda: newest_checkpoint(stage) >= 40, seconds=180, what=server.logs)
    return flow_run, stage


def goes_on(server: PrefectServer, stage: Path, *overrides: str) -> None:
    """Every flow run has ended, nothing is left, and the next run takes up the checkpoint."""
    nothing_left(seconds=60)
    assert server.alive() == []
    step = newest_checkpoint(stage)
    assert step >= 40
    flow_run = server.full(*SMALL, *ONE_THREAD, *LONG, *overrides, until="sft")
    assert server.wait(flow_run, seconds=300)["type"] == "COMPLETED", server.logs()
    rows = server.run(
        "thinkless",
        "sql",
        "select status, count(*) as n from runs where status = 'running' group by all",
        "--format",
        "csv",
    )
    assert rows.strip() == "status,n"
    assert not list(stage.glob("*.part"))
    nothing_left()


def test_a_killed_worker_leaves_nothing_running_and_no_run_running_for_ever(
    server: PrefectServer, cluster: Cluster
) -> None:
    flow_run, stage = sft_in_the_middle(server, "sft.steps=1201")
    workers = [p for p in psutil.process_iter(["cmdline"]) if {"worker", "train"} <= set(p.info["cmdline"] or [])]
    assert workers
    for worker in workers:
        worker.send_signal(signal.SIGKILL)
    assert server.wait(flow_run, seconds=300)["type"] in ("FAILED", "CRASHED"), server.logs()
    wait_until(lambda: not cluster.jobs(), seconds=60, what=server.logs)
    goes_on(server, stage, "sft.steps=1201")


def test_a_killed_server_loses_no_work_and_no_run_stays_running(server: PrefectServer, cluster: Cluster) -> None:
    flow_run, stage = sft_in_the_middle(server, "sft.steps=1202")
    server.kill()
    time.sleep(10)
    server.start()
    server.wait(flow_run, seconds=400)
    wait_until(lambda: not cluster.jobs(), seconds=120, what=server.logs)
    assert os.path.isdir(stage)
    if list(stage.glob("*.part")):
        goes_on(server, stage, "sft.steps=1202")
    assert server.alive() == []
