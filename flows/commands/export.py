"""`thinkless export`: a trained model as a folder to use and to publish."""

from __future__ import annotations

import argparse
from pathlib import Path

from flows.run_choice import choose_run
from infra.settings import Settings
from infra.store.artifact_store import ArtifactStore
from tasks.export_model import DATASET_FOLDER, export_model


def execute(arguments: argparse.Namespace) -> int:
    """Write the folder; prints its content and the command that serves it."""
    home = Settings.from_environment().home
    record = choose_run(home, arguments.run, having=arguments.model)
    folder = Path(arguments.folder).expanduser().resolve()
    export = export_model(ArtifactStore(home), record, model=arguments.model, folder=folder)
    print(f"{export.name} of run {record.run_id} is in {export.folder}")
    print(f"  README.md            model card{'' if export.measured else '; the run has no evaluation'}")
    print(f"  {DATASET_FOLDER + '/':<20} {export.num_pairs} warm-up pairs, with a data set card")
    print(f"serve it: {export.serve}")
    return 0
