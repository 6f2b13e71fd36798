"""How far a stage is: a bar on a terminal, a line now and then in a log, an artifact in Prefect's UI."""

from __future__ import annotations

import logging
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import TaskRunContext
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from thinkless_core.progress import Progress as ProgressCallback

logger = logging.getLogger("thinkless")
SECONDS_BETWEEN_LINES = 15.0
SECONDS_BETWEEN_ARTIFACT_UPDATES = 3.0


@contextmanager
def stage_progress(label: str) -> Iterator[ProgressCallback]:
    """A callback that shows the progress of one stage wherever somebody looks."""
    console = Console(stderr=True)
    started = time.monotonic()
    in_ui = _UiProgress(label)
    if not console.is_terminal:
        last_line = 0.0

        def show_line(done: int, total: int, numbers: Mapping[str, float]) -> None:
            nonlocal last_line
            in_ui(done, total)
            if done == total or time.monotonic() - last_line > SECONDS_BETWEEN_LINES:
                last_line = time.monotonic()
                seconds = time.monotonic() - started
                logger.info("%-12s %d/%d  %.0f s  %s", label, done, total, seconds, _as_text(numbers))

        yield show_line
        return
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[numbers]}"),
        console=console,
        redirect_stdout=sys.stdout.isatty(),
    ) as bars:
        bar = bars.add_task(label, total=None, numbers="")

        def show_bar(done: int, total: int, numbers: Mapping[str, float]) -> None:
            in_ui(done, total)
            bars.update(bar, completed=done, total=total, numbers=_as_text(numbers))

        yield show_bar


def _as_text(numbers: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())


class _UiProgress:
    """A Prefect progress artifact of the current task run, updated every few seconds; nothing outside of one."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._artifact: uuid.UUID | None = None
        self._last = 0.0
        self._gone = False

    def __call__(self, done: int, total: int) -> None:
        if self._gone or TaskRunContext.get() is None or not total:
            return
        if done < total and time.monotonic() - self._last < SECONDS_BETWEEN_ARTIFACT_UPDATES:
            return
        self._last = time.monotonic()
        # The picture of progress must never end the work it pictures, nor hold it up twice: a server that is gone
        # is tried for a minute by Prefect's client before it gives up.
        try:
            percent = 100.0 * done / total
            if self._artifact is None:
                self._artifact = create_progress_artifact(
                    progress=percent, key=f"progress-{self._label}", description=f"Progress of {self._label}"
                )
            else:
                update_progress_artifact(artifact_id=self._artifact, progress=percent)
        except Exception as error:  # noqa: BLE001 - whatever the server answers, training goes on
            self._gone = True
            logger.warning("Prefect's server does not answer (%s); progress is shown here only", error)
