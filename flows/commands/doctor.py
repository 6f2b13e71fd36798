"""`thinkless doctor`: everything that would stop a run, and what the run will cost."""

from __future__ import annotations

import argparse

from flows.doctor.finding import Findings
from flows.request import checked_config


def execute(arguments: argparse.Namespace) -> int:
    """Print every finding; exit code 2 if one of them would stop a run."""
    if arguments.cluster:
        return _cluster()
    config = checked_config(arguments.profile, overrides=arguments.overrides)
    print(f"profile {config.profile}: configuration is valid", flush=True)
    from flows.doctor.examination import examine  # a slow import

    findings = Findings()
    for line in examine(config, findings):
        print(line, flush=True)
    return _summary(findings, "stop this run")


def _cluster() -> int:
    """The same for the machines of an allocation."""
    from flows.doctor.cluster import examine_cluster  # a slow import
    from flows.request import checked_settings

    findings = Findings()
    for finding in examine_cluster(checked_settings()):
        for new in findings.add([finding]):
            print(new.line(), flush=True)
    return _summary(findings, "stop runs on these machines, or spoil them")


def _summary(findings: Findings, harm: str) -> int:
    if not findings.missing:
        print("\nnothing is missing")
        return 0
    one = len(findings.missing) == 1
    print(f"\n{len(findings.missing)} {'thing' if one else 'things'} would {harm}; marked FAIL above")
    return 2
