"""What `doctor --cluster` says of machines that disagree, and of unsound disks; the real ones are in tests/cluster."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from flows.doctor import cluster
from flows.doctor.cluster import Node
from infra.store.shared_home import share
from schemas.errors import ConfigError


class Played(Node):
    """A node that answers as a test says."""

    def __init__(self, host: str, **answers: Any) -> None:
        super().__init__(host, 1, "")
        object.__setattr__(self, "answers", answers)

    def ask(self, do: str, **arguments: object) -> Any:
        found = self.answers[do]  # type: ignore[attr-defined]
        if isinstance(found, Exception):
            raise found
        return found(**arguments) if callable(found) else found


def test_clocks_that_are_apart_are_named() -> None:
    finding = cluster._clocks([Played("n1", clock=time.time), Played("n2", clock=lambda: time.time() - 7)])
    assert not finding.fine
    assert finding.text.startswith("7.00 s apart at most (n2); ")
    assert cluster._clocks([Played("n1", clock=time.time), Played("n2", clock=time.time)]).fine


def test_void_locks_are_a_fault_unless_the_home_uses_leases(tmp_path: Path) -> None:
    nodes = Played("n1", flock=True), Played("n2", flock=True)
    unshared = cluster._locks(*nodes, tmp_path, shared=False)
    assert not unshared.fine
    assert "n1 and n2 got one file lock at the same time" in unshared.text
    assert "run `thinkless share`" in unshared.text
    shared = cluster._locks(*nodes, tmp_path, shared=True)
    assert shared.fine
    assert "uses leases instead" in shared.text


def test_a_disk_on_which_both_create_or_rename_is_refused(tmp_path: Path) -> None:
    both = {"create": True, "write": True, "rename": True}
    finding = cluster._exclusive(Played("n1", **both), Played("n2", **both), tmp_path)
    assert not finding.fine
    assert finding.text.startswith("20 of 20 files were created by both machines or none, 20 of 20 folders renamed so")
    assert "THINKLESS_REMOTE" in finding.text


def test_a_file_that_the_other_machine_does_not_see_means_two_disks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "VISIBLE_SECONDS", 0.2)
    finding = cluster._visibility(Played("n1", write=True), Played("n2", sees=False), tmp_path)
    assert (finding.fine, finding.text) == (False, "n2 does not see a file of n1 after 0.2 s: is it one disk?")


def test_versions_and_modules_that_differ_are_named_with_both_machines() -> None:
    def facts(torch: str, sha256: str) -> dict[str, Any]:
        return {"packages": {"torch": torch, "vllm": None}, "sources": {"infra.disk": "a", "tasks.rl": sha256}}

    versions, code = cluster._software({"n1": facts("2.13.0", "b"), "n2": facts("2.12.0", "c")})
    assert (versions.fine, versions.text) == (False, "torch is 2.12.0 on n2 and 2.13.0 on n1")
    assert (code.fine, code.text) == (False, "not as on n1: tasks/rl.py (n2); its stages would have other keys")
    versions, code = cluster._software({"n1": facts("2.13.0", "b"), "n2": facts("2.13.0", "b")})
    assert (versions.text, code.text) == ("equal: torch 2.13.0", "equal on all machines")


def test_a_name_that_is_loopback_and_a_port_that_does_not_answer_are_named() -> None:
    facts = {
        "n1": {"address": "127.0.1.1", "interfaces": {"lo": ["127.0.0.1"]}},
        "n2": {"address": "10.0.0.2", "interfaces": {"ib0": ["10.0.0.2"]}},
    }
    nodes = [Played("n1", reach=ConfigError("n1: timed out")), Played("n2", reach=0.1)]
    first, second, names = cluster._network(nodes, facts, None)
    assert not first.fine
    assert "n1 takes its own name for 127.0.1.1" in first.text
    assert second.text == "n2 is 10.0.0.2; its trainings talk through ib0"
    assert (names.fine, names.text) == (False, "n1 does not reach n2: n1: timed out")


def test_a_home_that_is_not_marked_and_a_local_folder_that_all_see_are_refused(tmp_path: Path) -> None:
    (unmarked,) = cluster._local([Played("n1"), Played("n2")], tmp_path)
    assert not unmarked.fine
    assert "run `thinkless share`" in unmarked.text
    share(tmp_path, local="/scratch/mine")
    (seen,) = cluster._local([Played("n1", write=True), Played("n2", write=True, sees=True)], tmp_path)
    assert not seen.fine
    assert "thinkless share --local DIR" in seen.text
    (fit,) = cluster._local([Played("n1", write=True), Played("n2", write=True, sees=False)], tmp_path)
    assert fit.fine


def test_outside_of_an_allocation_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_NODELIST", raising=False)
    with pytest.raises(ConfigError, match="doctor --cluster needs an allocation of Slurm, of 2 machines"):
        cluster.all_allocated("doctor --cluster", at_least=2)
