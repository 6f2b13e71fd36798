"""`thinkless watch`: the curves of a running or finished run, as text that follows the run until it ends."""

from __future__ import annotations

import argparse
import logging
import time
from contextlib import suppress

from rich.console import Console, RenderableType
from rich.live import Live

from flows.learning_picture import picture
from flows.run_choice import all_runs, choose_run, stage_labels
from infra.runs import RunRecord, load_run
from infra.settings import Settings
from infra.store.artifact_store import ArtifactStore
from tasks.training_curves import trainings

logger = logging.getLogger("thinkless")
SECONDS_BETWEEN_PICTURES = 3.0


def execute(arguments: argparse.Namespace) -> int:
    """Print one picture, or show new ones until the run ends or Ctrl-C."""
    store = ArtifactStore(Settings.from_environment().home)
    run = _chosen(store, arguments.run)
    console = Console()
    if arguments.once or not console.is_terminal or run.status != "running":
        console.print(_picture(store, run))
        return 0
    with suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False) as live:
        while True:
            run = load_run(store.home, run.run_id)
            live.update(_picture(store, run), refresh=True)
            if run.status != "running":
                break
            time.sleep(SECONDS_BETWEEN_PICTURES)
    return 0


def _chosen(store: ArtifactStore, named: str | None) -> RunRecord:
    """The run that was named, else the newest that is running, else the newest as for other commands."""
    running = [] if named else [run for run in all_runs(store.home) if run.status == "running"]
    if not running:
        return choose_run(store.home, named)
    if len(running) > 1:
        others = ", ".join(run.run_id for run in running[:-1])
        logger.info("run %s; running as well: %s (name one to watch it)", running[-1].run_id, others)
    return running[-1]


def _picture(store: ArtifactStore, run: RunRecord) -> RenderableType:
    unfinished = store.unfinished(owner=f"run {run.run_id}")
    return picture(run, list(trainings(store, run, unfinished)), unfinished, labels=stage_labels(store, run))
