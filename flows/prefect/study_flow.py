"""The Prefect flow `thinkless-study`: the study that `thinkless study` runs, each member as a task run.

study name + profile -> request -> one task per member, `jobs` at a time -> stage `study` -> result table and page
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectConcurrentFuture, as_completed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.prefect.foreseen import log_without_tracebacks, refused
from flows.prefect.form import Count, OptionalCount, OptionalProfile, OptionalText, Override, StudyName
from flows.prefect.ui_artifacts import in_markdown
from flows.study.members import MemberRun, StudyRequest, check_study, member_command
from flows.study.run_study import StudyResult, run_study
from flows.study.study_table import claims_in_brief
from infra.processes.child_process import ChildCommand, end_children, run_logged
from schemas.configs.study import MemberSpec
from schemas.errors import ThinklessError, TrainingError
from schemas.records.study_claims import StudyClaim


@flow(name="thinkless-study", flow_run_name="study {study}, {seeds} seeds", log_prints=False, persist_result=False)
def thinkless_study(
    study: StudyName = "claims",
    profile: OptionalProfile = None,
    seeds: Count = 5,
    jobs: OptionalCount = None,
    only: OptionalText = None,
    overrides: Sequence[Override] = (),
) -> str | None:
    """Run a study and return the key of its summary; fails at the end if a member is missing.

    Args:
        study: A shipped study, or the path of a TOML file.
        profile: A shipped profile, or the path of a TOML file; none: the study's own.
        seeds: Runs of each condition, each with a seed of its own.
        jobs: Members that run at the same time; none: one per core.
        only: Run only what this claim needs, for example reaches-oracle.
        overrides: Keys to change in every member, each as KEY=VALUE, for example rl.gamma=0.3.
    """
    log_without_tracebacks()
    try:
        request = check_study(study, profile=profile, num_seeds=seeds, jobs=jobs, claim=only, overrides=overrides)
    except ThinklessError as error:
        return refused(error)  # type: ignore[return-value]  # Prefect ends the run in this state
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
        folder = Path(result.summary.path)
        results = claims_in_brief(folder / StudyClaim.FILE)
        shown = in_markdown(folder / "report.html", results=results)
        create_markdown_artifact(shown, key=f"study-{_as_key(request.study.name)}")
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
