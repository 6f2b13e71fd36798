"""`thinkless study`: the paper's claims, or all objectives, measured over seeds; prints claim -> measured -> verdict.

It runs in this process and its children, without Prefect. The flow `thinkless-study` runs the same on a Prefect server
(docs/decisions/0007).
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections import Counter
from pathlib import Path

from flows.commands.run import interrupt
from flows.study.members import StudyRequest, check_study, find_members, seconds_per_member
from flows.study.run_study import StudyResult, newest_summary, run_side_by_side, run_study, summarise
from flows.study.study_table import claims_as_markdown, claims_as_table
from schemas.artifact import Artifact
from schemas.records.study_claims import StudyClaim


def execute(arguments: argparse.Namespace) -> int:
    """Run a study, or show its stored results; returns 1 if a member is missing at the end."""
    request = check_study(
        arguments.study,
        profile=arguments.profile,
        num_seeds=arguments.seeds,
        jobs=arguments.jobs,
        claim=arguments.only,
        overrides=arguments.overrides,
    )
    if arguments.dry_run:
        show_plan(request)
        return 0
    signal.signal(signal.SIGTERM, interrupt)
    result = summarise(request) if arguments.show else run_study(request, run_side_by_side)
    return show_result(request, result, as_markdown=arguments.format == "markdown", only_show=arguments.show)


def show_plan(request: StudyRequest) -> None:
    """Print the members by condition, how many are in the store, and how long the rest will take."""
    found = find_members(request)
    cached = Counter(spec.condition for spec, member in found.items() if member)
    width = max(len(name) for name in request.study.conditions)
    print(f"{request.study.title}\n")
    for name, condition in request.study.conditions.items():
        seeds = condition.num_seeds(request.num_seeds)
        print(f"  {name:<{width}}  {seeds} seeds, {cached[name]} in the store  {condition.about}")
    waiting = len(found) - cached.total()
    seconds = seconds_per_member(request, [member for member in found.values() if member])
    minutes = -(-waiting // request.jobs) * seconds / 60
    print(
        f"\n{len(found)} members, {cached.total()} in the store, {waiting} to run, {request.jobs} at a time: "
        f"about {minutes:.0f} min at {seconds:.0f} s each, plus the warm-ups that are not in the store"
    )


def show_result(request: StudyRequest, result: StudyResult, *, as_markdown: bool, only_show: bool) -> int:
    """Print the table and the missing members; returns the exit code."""
    summary = result.summary
    if summary is None and only_show:
        summary = newest_summary(request)
        print("no member has run with this code and settings; the newest summary in the store:", file=sys.stderr)
    if summary is not None:
        print(claims_as_markdown(_claims(summary)) if as_markdown else claims_as_table(_claims(summary)))
        print(f"\npage: {Path(summary.path) / 'report.html'}", file=sys.stderr if as_markdown else sys.stdout)
    if not result.missing:
        return 0
    print(f"missing: {len(result.missing)} of {len(request.members)} members", file=sys.stderr)
    logs = {run.spec: run.log for run in result.failed}
    for spec in result.missing:
        print(f"  {spec.label}" + (f"  failed, see {logs[spec]}" if spec in logs else ""), file=sys.stderr)
    if not only_show:
        print("launch the same command again: finished members are not repeated", file=sys.stderr)
    return 1


def _claims(summary: Artifact) -> Path:
    return Path(summary.path) / StudyClaim.FILE
