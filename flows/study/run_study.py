"""Runs a study: its members in parallel, then the summary.

request -> members found in the store | run, `jobs` at a time -> stage `study` -> StudyResult

No work is repeated: a finished member is a hit, an interrupted one resumes from its checkpoints. If a member fails, the
others go on and the result names its log. This needs no Prefect; flows/prefect/study_flow.py runs the same on a server.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from pydantic import JsonValue

from flows.direct import build_here
from flows.recipe import AnyPlan
from flows.request import new_run_id
from flows.run_stages import recorded
from flows.study.members import (
    MemberRun,
    StudyRequest,
    find_members,
    run_member,
    seconds_per_member,
)
from infra.processes.child_process import end_children
from schemas.artifact import Artifact
from schemas.configs.study import FinishedMember, MemberSpec, StudySummaryConfig
from schemas.errors import MissingArtifactError
from tasks.running.context import RunContext
from tasks.running.find import find_or_fetch
from tasks.running.shared_artifacts import shared_artifacts
from tasks.summarise_study import plan_study

logger = logging.getLogger("thinkless")

RunMembers = Callable[[StudyRequest, Sequence[MemberSpec]], Iterator[MemberRun]]
"""Runs members and yields each as it ends."""


@dataclass(frozen=True)
class StudyResult:
    """Result of one launch of a study."""

    summary: Artifact | None
    """Artifact of stage `study`, over the finished members; None if no member is finished."""
    failed: tuple[MemberRun, ...]
    missing: tuple[MemberSpec, ...]
    """Members that are not finished, including failed ones."""


def run_study(request: StudyRequest, run_members: RunMembers) -> StudyResult:
    """Run the unfinished members, then summarise all finished ones."""
    logger.setLevel(logging.INFO)
    found = find_members(request)
    waiting = [spec for spec, member in found.items() if member is None]
    cached = [member for member in found.values() if member is not None]
    estimate = seconds_per_member(request, cached)
    logger.info(
        "study %s  %d members, %d in the store  %d at a time%s",
        request.study.name, len(found), len(cached), request.jobs, _time_left(len(waiting), estimate, request.jobs),
    )  # fmt: skip
    seconds: list[float] = []
    failed: list[MemberRun] = []
    for number, run in enumerate(run_members(request, waiting), start=1):
        if run.exit_code == 0:
            seconds.append(run.seconds)
        else:
            failed.append(run)
        mean = sum(seconds) / len(seconds) if seconds else estimate
        _log_member(run, f"{len(cached) + number}/{len(found)}", _time_left(len(waiting) - number, mean, request.jobs))
    return summarise(request, failed=tuple(failed))


def run_side_by_side(request: StudyRequest, specs: Sequence[MemberSpec]) -> Iterator[MemberRun]:
    """Run each member in a process of its own, `jobs` at a time; yields each as it ends."""
    with ThreadPoolExecutor(max_workers=request.jobs) as pool:
        try:
            for future in as_completed([pool.submit(run_member, request, spec) for spec in specs]):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            end_children()
            raise


def summarise(request: StudyRequest, *, failed: tuple[MemberRun, ...] = ()) -> StudyResult:
    """Summarise the finished members, recorded as a run of its own."""
    found = find_members(request)
    missing = tuple(spec for spec, member in found.items() if member is None)
    finished = [member for member in found.values() if member is not None]
    if not finished:
        return StudyResult(None, failed, missing)
    plan = plan_study(
        StudySummaryConfig(
            study=request.study,
            members=tuple(_finished(member.spec) for member in finished),
            num_seeds=request.num_seeds,
        ),
        finished=[(member.policy, member.evaluation) for member in finished],
    )
    return StudyResult(_build_on_record(request, plan), failed, missing)


def newest_summary(request: StudyRequest) -> Artifact:
    """The newest stored summary of a study of this name; raises MissingArtifactError if there is none."""
    context = _context(request)
    for manifest in reversed(list(context.store.manifests())):
        study = manifest.config.get("study")
        if manifest.stage == "study" and isinstance(study, dict) and study.get("name") == request.study.name:
            path = str(context.store.path("study", manifest.key))
            return Artifact(stage="study", key=manifest.key, digest=manifest.digest, path=path, rows=manifest.rows)
    raise MissingArtifactError(
        f"study {request.study.name} has no finished member in {request.settings.home}; "
        f"run it with: thinkless study {request.study.name}"
    )


def _finished(spec: MemberSpec) -> FinishedMember:
    return FinishedMember(condition=spec.condition, seed=spec.seed, overrides=spec.overrides)


def _context(request: StudyRequest) -> RunContext:
    shared = shared_artifacts(request.settings)
    return RunContext(run_id=new_run_id(), profile=request.profile, settings=request.settings, shared=shared)


def _build_on_record(request: StudyRequest, plan: AnyPlan) -> Artifact:
    context = _context(request)
    config: dict[str, JsonValue] = {"study": request.study.model_dump(mode="json"), "num_seeds": request.num_seeds}
    with recorded(context, config, study=request.study.name) as recorder:
        started = time.monotonic()
        artifact = build_here(context, plan, find_or_fetch(context, plan))
        recorder.add(plan, artifact, seconds=time.monotonic() - started)
    return artifact


def _log_member(run: MemberRun, number: str, time_left: str) -> None:
    if run.exit_code == 0:
        logger.info("member %-7s %-28s %.0f s%s", number, run.spec.label, run.seconds, time_left)
    else:
        logger.warning(
            "member %-7s %-28s FAILED (exit code %d): %s; see %s%s",
            number, run.spec.label, run.exit_code, run.last_words, run.log, time_left,
        )  # fmt: skip


def _time_left(num_members: int, seconds_each: float, jobs: int) -> str:
    if not num_members:
        return ""
    return f"  about {max(1, round(-(-num_members // jobs) * seconds_each / 60))} min left"
