"""`thinkless export`: a trained model as a folder to use and to publish."""

from __future__ import annotations

import argparse
from pathlib import Path

from flows.run_choice import choose_run
from infra.settings import Settings
from infra.store.artifact_store import ArtifactStore
from schemas.errors import ConfigError
from tasks.export_model import DATASET_FOLDER, export_model


def execute(arguments: argparse.Namespace) -> int:
    """Write the folder; prints its content and the command that serves it."""
    home = Settings.from_environment().home
    folder = Path(arguments.folder).expanduser().resolve()
    if arguments.framework is not None:
        return _for_a_trainer(home, arguments, folder)
    record = choose_run(home, arguments.run, having=arguments.model or "rl")
    export = export_model(ArtifactStore(home), record, model=arguments.model or "rl", folder=folder)
    print(f"{export.name} of run {record.run_id} is in {export.folder}")
    print(f"  README.md            model card{'' if export.measured else '; the run has no evaluation'}")
    print(f"  {DATASET_FOLDER + '/':<20} {export.num_pairs} warm-up pairs, with a data set card")
    print(f"serve it: {export.serve}")
    return 0


def _for_a_trainer(home: Path, arguments: argparse.Namespace, folder: Path) -> int:
    """Write the folder for another framework."""
    from tasks.exchange.export_for_trainer import FILES, export_for_trainer

    if arguments.model == "rl":
        raise ConfigError("export --for: it is the warm-up that another framework trains on; leave --model out")
    record = choose_run(home, arguments.run, having="sft")
    export = export_for_trainer(ArtifactStore(home), record, framework=arguments.framework, folder=folder)
    print(f"the warm-up of run {record.run_id} is in {export.folder}, to be trained by {arguments.framework}")
    print(f"  model/, {export.num_problems} problems, {', '.join(FILES[arguments.framework].values())}")
    print(f"next: {export.next_step}; then: thinkless import {export.folder}")
    return 0
