"""Members of a study: finds the finished ones, estimates the time of one, and runs one.

StudyRequest -> member (condition x seed) -> found in the store, or a process of its own: `thinkless run --no-prefect`

A member is an ordinary run that stops after `evaluate`: a relaunched one resumes from its checkpoints, and a
finished one is a hit. Each has its own process because torch's number of threads is a setting of the process.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flows.recipe import AnyPlan, stages_until
from flows.request import checked_settings
from infra.processes.child_process import ChildCommand, run_logged
from infra.settings import Settings
from infra.store.artifact_store import ArtifactStore
from schemas.artifact import Artifact
from schemas.configs.loading import load_config
from schemas.configs.study import MemberSpec, StudyConfig, load_study
from schemas.errors import ConfigError, StoreError

LAST_STAGE = "evaluate"
GUESSED_SECONDS = 75.0
"""Assumed time of a member if the store has no finished one: RL and evaluation of the tiny profile on one core."""
START_SECONDS = 8.0
"""Time of the imports in one process, which the manifests do not include."""


@dataclass(frozen=True)
class StudyRequest:
    """One launch of a study, checked."""

    study: StudyConfig
    profile: str
    members: tuple[MemberSpec, ...]
    num_seeds: int
    jobs: int
    settings: Settings

    def log_of(self, member: MemberSpec) -> Path:
        """Log file of a member's process."""
        return self.settings.home / "studies" / self.study.name / f"{member.label}.log"


@dataclass(frozen=True)
class FoundMember:
    """A finished member."""

    spec: MemberSpec
    policy: Artifact
    evaluation: Artifact


@dataclass(frozen=True)
class MemberRun:
    """The end of a member's process."""

    spec: MemberSpec
    exit_code: int
    seconds: float
    log: Path

    @property
    def last_words(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line for line in reversed(lines) if line.strip()), "its log is empty")


@dataclass
class MemberFinder:
    """Looks members up in the store; an artifact that several members share is verified once."""

    store: ArtifactStore
    _seen: dict[tuple[str, str], Artifact | None] = field(default_factory=dict)

    def find(self, profile: str, spec: MemberSpec) -> FoundMember | None:
        """A member's policy and evaluation; None if it is not finished."""
        config = load_config(profile, overrides=spec.overrides)
        found: dict[str, Artifact] = {}
        for stage in stages_until(LAST_STAGE):
            artifact = self._look_up(stage.plan(config, found))
            if artifact is None:
                return None
            found[stage.label] = artifact
        return FoundMember(spec, found["rl"], found["evaluate"])

    def _look_up(self, plan: AnyPlan) -> Artifact | None:
        key = (plan.stage, plan.key)
        if key not in self._seen:
            self._seen[key] = self.store.find(*key)
        return self._seen[key]


def check_study(
    name: str,
    *,
    profile: str | None = None,
    num_seeds: int,
    jobs: int | None = None,
    claim: str | None = None,
    overrides: Sequence[str] = (),
) -> StudyRequest:
    """Check the study and the configuration of every member; raises ConfigError or StoreError.

    Without a `profile`, the study's own is run.
    """
    if jobs is not None and jobs < 1:
        raise ConfigError(f"--jobs is {jobs}, expected at least 1; leave it out for one per core")
    study = load_study(name)
    study = study.only(claim) if claim else study
    profile = profile or study.profile
    members = study.members(num_seeds=num_seeds, overrides=overrides)
    threads = 1
    for member in members[: len(study.conditions)]:  # the seeds of a condition share all that can be wrong
        try:
            config = load_config(profile, overrides=member.overrides)
        except ConfigError as error:
            raise ConfigError(f"study {study.name}, condition {member.condition}: {error}") from error
        for role, benchmark in study.benchmarks.model_dump().items():
            if benchmark not in config.problems.benchmarks:
                known = ", ".join(config.problems.benchmarks)
                raise ConfigError(
                    f"study {study.name}: benchmarks.{role} is {benchmark!r}, which profile {profile} does not have; "
                    f"name one of {known}"
                )
        threads = max(threads, config.rl.num_threads or num_cores())
    settings = checked_settings()
    return StudyRequest(study, profile, members, num_seeds, jobs or max(1, num_cores() // threads), settings)


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def find_members(request: StudyRequest) -> dict[MemberSpec, FoundMember | None]:
    """Every member -> its artifacts, or None if it is not finished."""
    finder = MemberFinder(ArtifactStore(request.settings.home))
    return {spec: finder.find(request.profile, spec) for spec in request.members}


def member_command(request: StudyRequest, spec: MemberSpec) -> ChildCommand:
    """The command that runs one member in a process of its own."""
    run = [sys.executable, "-m", "flows.cli", "run", "--no-prefect", "--profile", request.profile]
    words = [
        *run,
        "--until",
        LAST_STAGE,
        "--member-of",
        request.study.name,
        *(word for override in spec.overrides for word in ("--set", override)),
    ]
    variables = {
        "THINKLESS_HOME": str(request.settings.home),
        # Libraries whose threads the configuration does not set share the cores between the members.
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(max(1, num_cores() // request.jobs))),
    }
    return ChildCommand(tuple(words), request.log_of(spec), variables)


def run_member(request: StudyRequest, spec: MemberSpec) -> MemberRun:
    """Run one member and wait until it ends."""
    started, command = time.monotonic(), member_command(request, spec)
    return MemberRun(spec, run_logged(command), time.monotonic() - started, command.log)


def seconds_per_member(request: StudyRequest, found: Sequence[FoundMember]) -> float:
    """Mean time of the finished members, from their manifests; GUESSED_SECONDS if there is none."""
    store = ArtifactStore(request.settings.home)
    seconds = []
    for member in found:
        try:
            manifests = [store.manifest(a.stage, a.key) for a in (member.policy, member.evaluation)]
        except StoreError:
            continue
        seconds.append(START_SECONDS + sum(sum(manifest.timings.values()) for manifest in manifests))
    return sum(seconds) / len(seconds) if seconds else GUESSED_SECONDS
