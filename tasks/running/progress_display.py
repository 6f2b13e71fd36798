"""Shows the progress of a stage: a bar on a terminal or lines in a log, an artifact in Prefect's UI, curves.

Progress callback of the core -> headline of the stage -> terminal or log, Prefect
                              -> all numbers           -> event files and trackers, if requested
"""

from __future__ import annotations

import logging
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column

from tasks.headline import Headline
from tasks.running.step_writer import StepWriter
from thinkless_core.progress import Progress as ProgressCallback

logger = logging.getLogger("thinkless")
SECONDS_BETWEEN_LINES = 15.0
SECONDS_BETWEEN_ARTIFACT_UPDATES = 3.0

Show = Callable[[int, int, str], None]
"""Shows the pieces done, their total and a headline."""


class _Remaining:
    """How long a stage still takes, by the pieces done since the last call that tells nothing of their time.

    That is the first call, each before the first piece, and one that jumps from nothing over several: these are
    finished pieces of a resumed stage, or a first chunk.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._done_before = self._done = self._total = 0

    def __call__(self, done: int, total: int) -> str:
        """`about 12 min left`, or nothing before the first piece and after the last."""
        now = time.monotonic()
        jumps = self._done == 0 and done > 1
        if total != self._total or done < self._done or done == 0 or jumps:
            self._began, self._done_before, self._total = now, done, total
        self._done = done
        if not self._done_before < done < total:
            return ""
        return f"about {duration((total - done) * (now - self._began) / (done - self._done_before))} left"


def duration(seconds: float) -> str:
    """`40 s`, `12 min` or `3 h 20 min`."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def stage_progress(label: str, *, writers: Sequence[StepWriter] = ()) -> Iterator[ProgressCallback]:
    """A callback that shows the progress of one stage on the terminal or in the log, and in Prefect's UI.

    `writers` get all numbers of every step, and are closed at the end.
    """
    console = Console(stderr=True)
    headline = Headline(label)
    in_ui = _UiProgress(label)
    on_screen: AbstractContextManager[Callable[[int, int, str], None]] = (
        _bar(label, console) if console.is_terminal else nullcontext(_Lines(label))
    )
    with ExitStack() as stack:
        for writer in writers:
            stack.enter_context(closing(writer))
        show = stack.enter_context(on_screen)

        def progress(done: int, total: int, numbers: Mapping[str, float], notes: Sequence[str] = ()) -> None:
            text = headline.update(numbers)
            show(done, total, text)
            in_ui(done, total, text)
            for writer in writers:
                writer(done, numbers)
            for note in notes:
                logger.warning("%s: %s", label, note)

        yield progress


class _Lines:
    """Progress as a line in the log every few seconds, one with the first estimate of the time left, one at the end."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._started = time.monotonic()
        self._last: float | None = None
        self._remaining = _Remaining()
        self._has_begun = False

    def __call__(self, done: int, total: int, text: str) -> None:
        now, left = time.monotonic(), self._remaining(done, total)
        first_estimate = bool(left) and not self._has_begun
        self._has_begun = self._has_begun or bool(left)
        if done == total or first_estimate or self._last is None or now - self._last > SECONDS_BETWEEN_LINES:
            self._last = now
            parts = [part for part in (f"{now - self._started:.0f} s", left, text) if part]
            logger.info("%-12s %d/%d  %s", self._label, done, total, "  ".join(parts))


@contextmanager
def _bar(label: str, console: Console) -> Iterator[Show]:
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<12}"),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        # The rest of the line. A text that is too long is cut, so that it needs no second line.
        TextColumn("{task.fields[text]}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
        console=console,
        expand=True,
        redirect_stdout=sys.stdout.isatty(),
    ) as bars:
        bar, remaining = bars.add_task(label, total=None, text="", left=""), _Remaining()

        def show(done: int, total: int, text: str) -> None:
            bars.update(bar, completed=done, total=total, text=text, left=remaining(done, total))

        yield show


class _UiProgress:
    """A Prefect progress artifact of the current task run, updated every few seconds; nothing outside a task run."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._artifact: uuid.UUID | None = None
        self._last = 0.0
        self._gone = False

    def __call__(self, done: int, total: int, text: str) -> None:
        if self._gone or not total or not _in_task_run():
            return
        if self._artifact is not None and done < total and self._is_fresh():
            return
        self._last = time.monotonic()
        from prefect.artifacts import create_progress_artifact, update_progress_artifact

        # A lost server may not stop the stage, nor delay it more than once: Prefect's client retries for a minute
        # before it gives up.
        try:
            percent = 100.0 * done / total
            description = f"{self._label} {done}/{total}  {text}".strip()
            if self._artifact is None:
                made = create_progress_artifact(
                    progress=percent, key=f"progress-{self._label}", description=description
                )
                self._artifact = made if isinstance(made, uuid.UUID) else None
            else:
                update_progress_artifact(artifact_id=self._artifact, progress=percent, description=description)
        except Exception as error:  # noqa: BLE001 - training goes on after any failure of the server
            self._gone = True
            logger.warning("Prefect's server does not answer (%s); progress is only shown here", error)

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._last < SECONDS_BETWEEN_ARTIFACT_UPDATES


def _in_task_run() -> bool:
    """True inside a Prefect task run. Does not import Prefect: if it is not loaded, there is no task run."""
    if "prefect.context" not in sys.modules:
        return False
    from prefect.context import TaskRunContext

    return TaskRunContext.get() is not None
