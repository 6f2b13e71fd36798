"""The Prefect flow `thinkless-study`: the study that `thinkless study` runs, each member as a task run.

study name + profile -> request -> one task per member, `jobs` at a time -> stage `study` -> result table and page
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from prefect import flow, task
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectConcurrentFuture, as_completed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.study.members import MemberRun, StudyRequest, check_study, member_command
from flows.study.run_study import StudyResult, run_study
from flows.study.study_table import claims_as_markdown
from infra.processes.child_process import ChildCommand, end_children, run_logged
from schemas.configs.study import MemberSpec
from schemas.errors import TrainingError
from schemas.records.study_claims import StudyClaim


@flow(name="thinkless-study", log_prints=False, persist_result=False)
def thinkless_study(
    study: str = "claims",
    profile: str | None = None,
    seeds: int = 5,
    jobs: int | None = None,
    only: str | None = None,
    overrides: list[str] | None = None,
) -> str | None:
    """Run a study and return the key of its summary; fails at the end if a member is missing."""
    request = check_study(study, profile=profile, num_seeds=seeds, jobs=jobs, claim=only, overrides=overrides or ())
    result = _run_and_publish(request)
    if result.missing:
        logs = ", ".join(str(run.log) for run in result.failed)
        raise TrainingError(
            f"study {request.study.name}: {len(result.missing)} of {len(request.members)} members are missing; "
            f"see {logs or 'the server'}, and run it again: finished members are not repeated"
        )
    return result.summary.key if result.summary else None


@task(name="member", cache_policy=NO_CACHE, persist_result=False)
def run_member(command: ChildCommand) -> float:
    """Run one member in a process of its own and return its seconds; raises TrainingError if it fails."""
    started = time.monotonic()
    code = run_logged(command)
    if code:
        raise TrainingError(f"the member ended with exit code {code}; see its log {command.log}")
    return time.monotonic() - started


def _run_and_publish(request: StudyRequest) -> StudyResult:
    result = run_study(request, _run_as_tasks)
    if result.summary is not None:
        folder, key = Path(result.summary.path), _as_key(request.study.name)
        create_markdown_artifact(claims_as_markdown(folder / StudyClaim.FILE), key=f"claims-{key}")
        create_link_artifact(link=(folder / "report.html").as_uri(), link_text="Study", key=f"study-{key}")
    return result


def _run_as_tasks(request: StudyRequest, specs: Sequence[MemberSpec]) -> Iterator[MemberRun]:
    # A separate task runner, because the flow's runner would run more members at a time than there are cores.
    pool: ThreadPoolTaskRunner[float] = ThreadPoolTaskRunner(max_workers=request.jobs)
    with pool as runner:
        commands = {spec: member_command(request, spec) for spec in specs}
        futures = {
            runner.submit(run_member.with_options(task_run_name=spec.label), parameters={"command": command}): spec
            for spec, command in commands.items()
        }
        try:
            for future in as_completed(list(futures)):
                outcome = future.result(raise_on_failure=False)
                seconds = outcome if isinstance(outcome, float) else 0.0
                spec = futures[cast(PrefectConcurrentFuture[float], future)]
                yield MemberRun(spec, 0 if isinstance(outcome, float) else 1, seconds, commands[spec].log)
        except BaseException:
            end_children()
            raise


def _as_key(name: str) -> str:
    """The name as a key of a Prefect artifact: lower-case letters, digits and dashes only."""
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())
