"""`thinkless report`: where a run's HTML report is."""

from __future__ import annotations

import argparse
import webbrowser

from infra.artifact_store import ArtifactStore
from infra.runs import list_runs
from infra.settings import Settings
from schemas.errors import MissingArtifactError


def execute(arguments: argparse.Namespace) -> int:
    """Print the path of a report; opens it on request."""
    home = Settings.from_environment().home
    runs = [r for r in list_runs(home) if arguments.run in (None, r.run_id)]
    if not runs:
        wanted = f"no run {arguments.run!r}" if arguments.run else "no run yet"
        raise MissingArtifactError(f'{wanted} in {home}; see: thinkless sql "select run_id, status from runs"')
    keys = [(r.run_id, s.key) for r in runs for s in r.stages if s.stage == "report"]
    if not keys:
        reached = ", ".join(dict.fromkeys(s.stage for s in runs[-1].stages)) or "nothing"
        raise MissingArtifactError(
            f"run {runs[-1].run_id} has no report: it reached {reached} and is {runs[-1].status}; "
            "launch it again to finish it"
        )
    path = ArtifactStore(home).path("report", keys[-1][1]) / "report.html"
    print(path)
    if arguments.open_browser:
        webbrowser.open(path.as_uri())
    return 0
