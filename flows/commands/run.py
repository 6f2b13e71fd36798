"""`thinkless run`: runs the pipeline, then prints the result table and the report's path.

Prefect starts only if a stage has to be built, or if the user has a server.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from flows.commands.why import show_plan
from flows.direct import run_directly
from flows.prefect.prefect_server import server_is_configured
from flows.request import check_request
from flows.run_stages import run_from_store
from schemas.artifact import Artifact
from schemas.records.eval_routers import RouterScore
from schemas.records.eval_summary import EvalSummary

PREFECT_DEFAULTS = {
    # On a slow disk the first start of a temporary server takes longer than Prefect's default limit of 20 s.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "thinkless",
}


def execute(arguments: argparse.Namespace) -> int:
    """Run the pipeline: from the store if it holds everything, else as a Prefect flow."""
    if arguments.limit is not None:
        arguments.overrides += [f"evaluate.limit={arguments.limit}"]
    request = check_request(
        arguments.profile,
        overrides=arguments.overrides,
        until=arguments.until,
        only=arguments.only,
        refresh=arguments.refresh,
        keep=arguments.keep,
        same_versions=arguments.same_versions,
    )
    if arguments.dry_run:
        show_plan(request)
        return 0
    signal.signal(signal.SIGTERM, interrupt)
    if arguments.no_prefect:
        artifacts: Mapping[str, Artifact] | None = run_directly(request).artifacts
    else:
        artifacts = None if server_is_configured() else run_from_store(request)
    if artifacts is None:
        show_results(_run_as_flow(arguments))
    else:
        show_results({label: artifact.key for label, artifact in artifacts.items()})
    return 0


def _run_as_flow(arguments: argparse.Namespace) -> Mapping[str, str]:
    """Run the Prefect flow; returns label -> key."""
    for name, value in PREFECT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    if not arguments.verbose:  # Prefect's server still gets every line
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    # Imported here because it takes seconds and reads the variables set above.
    from flows.prefect.pipeline import thinkless

    return thinkless(
        profile=arguments.profile,
        overrides=arguments.overrides,
        until=arguments.until,
        only=arguments.only,
        refresh=arguments.refresh,
        keep=arguments.keep,
        same_versions=arguments.same_versions,
    )


def interrupt(signum: int, frame: FrameType | None) -> None:
    """End as on Ctrl-C, so that the temporary server stops and the run record is closed."""
    raise KeyboardInterrupt


def show_results(keys: Mapping[str, str]) -> None:
    """Print the result table and the report's path, if the run has them."""
    from infra.report.data.result_table import result_table_text, task_sentence
    from infra.settings import Settings
    from infra.store.artifact_store import ArtifactStore

    store = ArtifactStore(Settings.from_environment().home)
    if "evaluate" in keys:
        folder = store.path("evaluate", keys["evaluate"])
        print(result_table_text(folder / EvalSummary.FILE))
        if sentence := task_sentence(folder / RouterScore.FILE, key=keys["evaluate"]):
            print(f"\n{sentence}")
    if "report" in keys:
        print(f"\nreport: {_relative(store.path('report', keys['report']) / 'report.html')}")


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
