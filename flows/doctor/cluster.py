"""`thinkless doctor --cluster`: whether the machines of an allocation agree, and their shared disk can be trusted.

allocation of Slurm -> a server on each node (flows/doctor/cluster_node.py) -> questions to all, trials between two
"""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.doctor.finding import Finding
from infra.processes.machines import Machines, all_allocated, one_task_each
from infra.settings import Settings
from infra.store.shared_home import is_shared, local_files
from schemas.errors import ConfigError
from tasks.running.rebuild_reason import files_unlike

CLOCK_SECONDS = 2.0
"""Clocks may differ by so much."""
VISIBLE_SECONDS = 15.0
"""The longest that a disk may take until another machine sees a new file."""
START_SECONDS = 120.0
TRIALS = 20


@dataclass(frozen=True)
class Node:
    """One machine, which answers commands."""

    host: str
    port: int
    token: str

    def ask(self, do: str, **arguments: object) -> Any:
        """Its answer; raises ConfigError if it gives none, or an error of its own."""
        try:
            with (
                socket.create_connection((self.host, self.port), timeout=30) as connection,
                connection.makefile("rw", encoding="utf-8") as stream,
            ):
                stream.write(json.dumps({"token": self.token, "do": do, **arguments}) + "\n")
                stream.flush()
                answer = json.loads(stream.readline() or '{"error": "no answer"}')
        except OSError as error:
            raise ConfigError(f"{self.host}: {error}") from error
        if "error" in answer:
            raise ConfigError(f"{self.host}: {answer['error']}")
        return answer["answer"]


def examine_cluster(settings: Settings) -> Iterator[Finding]:
    """Every finding, as soon as it is known; raises ConfigError outside of an allocation of two machines or more."""
    hosts = all_allocated("doctor --cluster", at_least=2)
    folder = settings.home / "doctor" / secrets.token_hex(4)
    try:
        with _nodes(hosts, folder) as nodes:
            yield Finding("machines", True, ", ".join(node.host for node in nodes))
            facts = {node.host: node.ask("facts") for node in nodes}
            yield from _software(facts)
            yield from _network(nodes, facts, settings.network_interface)
            yield _clocks(nodes)
            first, second = nodes[0], nodes[1]
            yield _visibility(first, second, folder)
            yield _locks(first, second, folder, shared=is_shared(settings.home))
            yield _exclusive(first, second, folder)
            yield from _local(nodes, settings.home)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _nodes(hosts: tuple[str, ...], folder: Path) -> Iterator[list[Node]]:
    folder.mkdir(parents=True, mode=0o700)
    token = secrets.token_hex(16)
    (folder / "token").write_text(token, encoding="utf-8")
    log = folder.parent / "nodes.log"
    words = [*one_task_each(Machines(hosts)), sys.executable, "-m", "flows.doctor.cluster_node", str(folder)]
    with log.open("wb") as stream:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT)
    nodes: list[Node] = []
    try:
        began = time.monotonic()
        while len(nodes) < len(hosts):
            found = [json.loads(file.read_bytes()) for file in folder.glob("*.json")]
            nodes = sorted((Node(host, port, token) for host, port in found), key=lambda node: hosts.index(node.host))
            if child.poll() is not None or time.monotonic() - began > START_SECONDS:
                missing = ", ".join(sorted(set(hosts) - {node.host for node in nodes}))
                raise ConfigError(
                    f"{missing or 'a machine'} did not start, or does not see {folder}: is this home on a disk that "
                    f"all machines see, and the environment {sys.prefix} too? Their output: {log}"
                )
            time.sleep(0.1)
        yield nodes
    finally:
        for node in nodes:
            with suppress(ConfigError):
                node.ask("end")
        child.terminate()
        child.wait()


def _software(facts: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    (first, here), *others = facts.items()
    versions = ", ".join(f"{name} {version}" for name, version in here["packages"].items() if version)
    differing = [
        f"{name} is {there['packages'][name]} on {host} and {version} on {first}"
        for host, there in others
        for name, version in here["packages"].items()
        if there["packages"][name] != version
    ]
    modules = {
        file: host
        for host, there in others
        for one, other in ((here, there), (there, here))
        for file in files_unlike(one["sources"], other["sources"])
    }
    yield Finding("versions", not differing, "; ".join(differing) or f"equal: {versions}")
    named = ", ".join(f"{file} ({host})" for file, host in sorted(modules.items()))
    yield Finding(
        "code",
        not modules,
        f"not as on {first}: {named}; its stages would have other keys" if modules else "equal on all machines",
    )


def _network(nodes: list[Node], facts: dict[str, dict[str, Any]], interface: str | None) -> Iterator[Finding]:
    for node in nodes:
        address, interfaces = facts[node.host]["address"], facts[node.host]["interfaces"]
        found = next((name for name, addresses in interfaces.items() if address in addresses), None)
        if address.startswith("127."):
            said = (
                f"{node.host} takes its own name for {address}, where no other machine reaches it: correct /etc/hosts"
            )
            yield Finding("network", False, said)
        elif interface is not None and interface not in interfaces:
            has = ", ".join(interfaces)
            said = f"{node.host} has no interface {interface} (THINKLESS_NETWORK_INTERFACE); it has {has}"
            yield Finding("network", False, said)
        else:
            used = interface or found or "none of its interfaces"
            yield Finding("network", True, f"{node.host} is {address}; its trainings talk through {used}")
    unreached = []
    for node in nodes:
        for other in nodes:
            try:
                node.ask("reach", host=other.host, port=other.port) if other != node else None
            except ConfigError as error:
                unreached.append(f"{node.host} does not reach {other.host}: {error}")
    yield Finding("names", not unreached, "; ".join(unreached) or "every machine reaches every other by its name")


def _clocks(nodes: list[Node]) -> Finding:
    offsets = {}
    for node in nodes:
        before = time.time()
        there = node.ask("clock")
        offsets[node.host] = there - (before + time.time()) / 2
    apart = max(offsets.values()) - min(offsets.values())
    said = f"{apart:.2f} s apart at most"
    if apart > CLOCK_SECONDS:
        worst = max(offsets, key=lambda host: abs(offsets[host]))
        said += f" ({worst}); runs and artifacts are sorted by time: set the clocks (NTP)"
    return Finding("clocks", apart <= CLOCK_SECONDS, said)


def _visibility(first: Node, second: Node, folder: Path) -> Finding:
    first.ask("write", path=str(folder / "seen" / "file"))
    began = time.monotonic()
    while not second.ask("sees", path=str(folder / "seen" / "file")):
        if time.monotonic() - began > VISIBLE_SECONDS:
            said = f"{second.host} does not see a file of {first.host} after {VISIBLE_SECONDS:g} s: is it one disk?"
            return Finding("disk", False, said)
        time.sleep(0.05)
    return Finding("disk", True, f"{second.host} sees a file of {first.host} after {time.monotonic() - began:.1f} s")


def _locks(first: Node, second: Node, folder: Path, *, shared: bool) -> Finding:
    path = str(folder / "lock")
    both = first.ask("flock", path=path) and second.ask("flock", path=path)
    between = f"{first.host} and {second.host}"
    if not both:
        use = "leases are used all the same" if shared else "but a holder on a dead machine keeps them"
        return Finding("locks", True, f"file locks of {between} exclude each other; {use}")
    if shared:
        return Finding("locks", True, f"{between} got one file lock at the same time; this home uses leases instead")
    return Finding(
        "locks",
        False,
        f"{between} got one file lock at the same time: two could build one artifact; run `thinkless share`",
    )


def _exclusive(first: Node, second: Node, folder: Path) -> Finding:
    """Leases need files that one alone creates, publishing needs renames that replace nothing."""
    wins = [
        first.ask("create", path=str(folder / f"create-{i}")) + second.ask("create", path=str(folder / f"create-{i}"))
        for i in range(TRIALS)
    ]
    renamed = []
    for i in range(TRIALS):
        for node in (first, second):
            node.ask("write", path=str(folder / f"from-{node.host}-{i}" / "file"))
        there = [
            node.ask("rename", path=str(folder / f"from-{node.host}-{i}"), to=str(folder / f"to-{i}"))
            for node in (first, second)
        ]
        renamed.append(sum(there))
    if set(wins) == set(renamed) == {1}:
        return Finding("publishing", True, f"of {TRIALS} files and {TRIALS} folders each was made by one machine")
    twice = sum(win != 1 for win in wins), sum(win != 1 for win in renamed)
    said = (
        f"{twice[0]} of {TRIALS} files were created by both machines or none, {twice[1]} of {TRIALS} folders renamed "
        "so: this disk cannot hold a home; give each machine its own, and share artifacts through THINKLESS_REMOTE"
    )
    return Finding("publishing", False, said)


def _local(nodes: list[Node], home: Path) -> Iterator[Finding]:
    """The folder for the catalog: writable, and not the same one on two machines."""
    if not is_shared(home):
        said = f"{home} is not marked: run `thinkless share`, or the machines would write one catalog"
        yield Finding("home", False, said)
        return
    local = local_files(home)
    mark = local / f".doctor-{secrets.token_hex(4)}"
    try:
        nodes[0].ask("write", path=str(mark))
        for node in nodes[1:]:
            node.ask("write", path=f"{mark}-{node.host}")
    except ConfigError as error:
        yield Finding("home", False, f"{error}; name another folder: thinkless share --local DIR")
        return
    also = [node.host for node in nodes[1:] if node.ask("sees", path=str(mark))]
    if also:
        said = (
            f"{', '.join(also)} sees {local} of {nodes[0].host}: name a folder of each machine's own disk: thinkless "
        )
        yield Finding("home", False, said + "share --local DIR")
    else:
        yield Finding("home", True, f"{home} is shared; each machine has its own {local}")
