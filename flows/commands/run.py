"""`thinkless run`: the flow, and afterwards the result table and the report's path."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from flows.request import check_request

PREFECT_DEFAULTS = {
    # A temporary server's first start on a slow disk takes longer than Prefect's own limit of 20 s.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "thinkless",
}


def execute(arguments: argparse.Namespace) -> int:
    """Run the pipeline."""
    # Said at once, not after Prefect's start.
    check_request(
        arguments.profile,
        overrides=arguments.overrides,
        until=arguments.until,
        only=arguments.only,
        refresh=arguments.refresh,
    )
    for name, value in PREFECT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    if not arguments.verbose:  # its server still gets every line
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    signal.signal(signal.SIGTERM, _interrupt)
    # Only now: this takes seconds, and reads the settings above.
    from flows.pipeline import thinkless

    keys = thinkless(
        profile=arguments.profile,
        overrides=arguments.overrides,
        until=arguments.until,
        only=arguments.only,
        refresh=arguments.refresh,
    )
    show_results(keys)
    return 0


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """Leave as on Ctrl-C, so that the temporary server and the run's record are closed."""
    raise KeyboardInterrupt


def show_results(keys: Mapping[str, str]) -> None:
    """Print the result table and where the report is, if the run went that far."""
    from infra.artifact_store import ArtifactStore
    from infra.report.result_table import result_table_text
    from infra.settings import Settings

    store = ArtifactStore(Settings.from_environment().home)
    if "evaluate" in keys:
        print(result_table_text(store.path("evaluate", keys["evaluate"]) / "summary.parquet"))
    if "report" in keys:
        print(f"\nreport: {_relative(store.path('report', keys['report']) / 'report.html')}")


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
