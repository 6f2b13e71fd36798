"""Runs of a stage that is shared out over workers, and workers that are killed in them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

from infra.locks import lock_owner
from tests.integration.driver import command
from tests.integration.processes import environment, family_of, started, wait_until

GONE_AFTER_SECONDS = 15.0


def in_workers(processes: int, *, stage: str) -> str:
    """The override that does a stage in several processes."""
    return f"{stage}.launch.processes={processes}"


def workers_in(family: list[psutil.Process]) -> dict[int, psutil.Process]:
    """The workers among some processes, by rank."""

    def words() -> Iterator[tuple[list[str], psutil.Process]]:
        for member in family:
            try:
                yield member.cmdline(), member
            except psutil.Error:
                continue

    return {int(said[-1]): member for said, member in words() if "tasks.running.worker_process" in said}


def workers_by_chunk(directory: Path) -> list[int]:
    """Ranks of the workers that have taken chunks, the last one at the end."""
    locks = sorted(directory.glob("*.part/scratch/chunk-*.lock"), key=lambda lock: lock.stat().st_mtime_ns)
    return [int(owner.removeprefix("worker ")) for lock in locks if (owner := lock_owner(lock)) is not None]


def run_with_a_worker_killed(home: Path, *, stage: str, log: Path) -> int:
    """Build a stage anew by two workers and kill one that has taken a chunk; returns its rank. The run succeeds."""
    directory = home / "artifacts" / stage
    shutil.rmtree(directory)
    with started(command(home, in_workers(2, stage=stage), until=stage), log=log, env=environment(home)) as process:
        wait_until(lambda: bool(workers_by_chunk(directory)), process=process, log=log)
        rank = workers_by_chunk(directory)[-1]
        workers_in(family_of(process.pid))[rank].kill()
        assert process.wait(timeout=300) == 0, log.read_text()
    return rank
