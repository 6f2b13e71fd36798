"""`thinkless report`: path of a run's HTML report; for an unfinished run it writes a page of the results so far."""

from __future__ import annotations

import argparse
import contextlib
import webbrowser
from pathlib import Path

from pydantic import ValidationError

from flows.run_choice import choose_run
from infra.report.pictures import write_pictures
from infra.report.run_inputs import write_unfinished_report
from infra.runs import RunRecord
from infra.settings import Settings
from infra.store.artifact_store import ArtifactStore
from schemas.configs.pipeline import PipelineConfig
from schemas.errors import MissingArtifactError
from tasks.train_rl import TrainRl
from tasks.train_sft import TrainSft


def execute(arguments: argparse.Namespace) -> int:
    """Print the path of a report; opens it and writes its pictures as files on request."""
    home = Settings.from_environment().home
    run = _choose(home, arguments.run)
    store = ArtifactStore(home)
    keys = [use.key for use in run.stages if use.stage == "report"]
    if keys:
        path = store.path("report", keys[-1]) / "report.html"
    else:
        path = write_unfinished_report(store, run, at_work=_at_work(store, run))
    print(path)
    if arguments.pictures:
        for picture in write_pictures(path, arguments.pictures):
            print(picture)
    if arguments.open_browser:
        webbrowser.open(path.as_uri())
    return 0


def _choose(home: Path, named: str | None) -> RunRecord:
    """The run that was named, else the newest that has a report, else the newest."""
    if named is None:
        with contextlib.suppress(MissingArtifactError):
            return choose_run(home, having="report")
    return choose_run(home, named)


def _at_work(store: ArtifactStore, record: RunRecord) -> dict[str, str]:
    """Stage -> key of the training stage that a run was in, if its logs can be shown; else empty."""
    try:
        config = PipelineConfig.model_validate(record.config)
    except ValidationError:  # the record of another version
        return {}
    found = ((use.stage, store.find(use.stage, use.key)) for use in record.stages)
    made = {stage: artifact for stage, artifact in found if artifact is not None}
    for stage in (TrainRl(), TrainSft()):
        if stage.name not in made and all(label in made for label in stage.needs):
            return {stage.name: stage.plan(config, made).key}
    return {}
