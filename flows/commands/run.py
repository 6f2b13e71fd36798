"""`thinkless run`: runs the pipeline, then prints the result table and the report's path.

Prefect starts only if a stage has to be built, or if the user has a server.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from flows.commands.why import show_plan
from flows.direct import run_directly
from flows.prefect.prefect_server import REMEDY, server_address, why_silent
from flows.request import RunRequest, check_request
from flows.run_stages import run_from_store
from schemas.artifact import Artifact
from schemas.errors import ConfigError
from schemas.records.eval_routers import RouterScore
from schemas.records.eval_summary import EvalSummary

logger = logging.getLogger("thinkless")

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
    request = check_request(
        arguments.profile,
        overrides=arguments.overrides,
        until=arguments.until,
        only=arguments.only,
        refresh=arguments.refresh,
        keep=arguments.keep,
        same_versions=arguments.same_versions,
        study=arguments.member_of,
    )
    if arguments.dry_run:
        show_plan(request)
        return 0
    signal.signal(signal.SIGTERM, interrupt)
    if arguments.no_prefect:
        artifacts: Mapping[str, Artifact] | None = run_directly(request).artifacts
    else:
        artifacts = _without_a_flow(request)
    if artifacts is None:
        show_results(_run_as_flow(arguments))
    else:
        show_results({label: artifact.key for label, artifact in artifacts.items()})
    return 0


def _without_a_flow(request: RunRequest) -> Mapping[str, Artifact] | None:
    """The run from the store, if it holds everything and no Prefect server waits for it; None: a flow has to run.

    Raises ConfigError if a flow has to run on a server that does not answer.
    """
    server = server_address()
    silent = None if server is None else why_silent(server)
    if server is not None and silent is None:
        return None
    artifacts = run_from_store(request)
    if silent is None:
        return artifacts
    if artifacts is None:
        raise ConfigError(f"the Prefect server {server} does not answer ({silent}); {REMEDY}")
    logger.warning("the Prefect server %s does not answer, and has no record of this run; %s", server, REMEDY)
    return artifacts


def _run_as_flow(arguments: argparse.Namespace) -> Mapping[str, str]:
    """Run the Prefect flow; returns label -> key. Raises ConfigError if no server can be started for it."""
    for name, value in PREFECT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    if not arguments.verbose:  # Prefect's server still gets every line
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    # Imported here because it takes seconds and reads the variables set above.
    from flows.prefect.pipeline import thinkless
    from flows.prefect.temporary_server import start_temporary_server

    start_temporary_server()
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
