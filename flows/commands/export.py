"""`thinkless export`: a trained model as a folder to use and to publish."""

from __future__ import annotations

import argparse
from pathlib import Path

from infra.runs import RunRecord, list_runs, load_run
from infra.settings import Settings
from infra.store.artifact_store import ArtifactStore
from schemas.errors import MissingArtifactError
from tasks.export_model import DATASET_FOLDER, export_model


def execute(arguments: argparse.Namespace) -> int:
    """Write the folder; prints its content and the command that serves it."""
    home = Settings.from_environment().home
    record = load_run(home, arguments.run) if arguments.run else _newest(home, arguments.model)
    folder = Path(arguments.folder).expanduser().resolve()
    export = export_model(ArtifactStore(home), record, model=arguments.model, folder=folder)
    print(f"{export.name} of run {record.run_id} is in {export.folder}")
    print(f"  README.md            model card{'' if export.measured else '; the run has no evaluation'}")
    print(f"  {DATASET_FOLDER + '/':<20} {export.num_pairs} warm-up pairs, with a data set card")
    print(f"serve it: {export.serve}")
    return 0


def _newest(home: Path, model: str) -> RunRecord:
    """The newest run that has the model."""
    having = [run for run in list_runs(home) if any(use.stage == model for use in run.stages)]
    if not having:
        raise MissingArtifactError(
            f"no run in {home} has a model of stage {model}; train one with: thinkless run --profile tiny"
        )
    return having[-1]
