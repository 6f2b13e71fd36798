"""Task `member`: one run of a study in a process of its own; a process that fails is a failed task run."""

from __future__ import annotations

import time

from prefect import task
from prefect.cache_policies import NO_CACHE

from infra.processes.child_process import ChildCommand, run_logged
from schemas.errors import TrainingError


@task(name="member", cache_policy=NO_CACHE, persist_result=False)
def run_member(command: ChildCommand) -> float:
    """Run one member to its end and return its seconds; raises TrainingError where it ends with an error."""
    started = time.monotonic()
    code = run_logged(command)
    if code:
        raise TrainingError(f"the member ended with exit code {code}; its log {command.log} says why")
    return time.monotonic() - started
