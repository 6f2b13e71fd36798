"""`thinkless share`: says that several machines use this home."""

from __future__ import annotations

import argparse

from infra.settings import Settings
from infra.store.shared_home import local_files, share


def execute(arguments: argparse.Namespace) -> int:
    """Mark the home, and say what changes."""
    home = Settings.from_environment().prepare().home
    share(home, local=str(arguments.local))
    print(
        f"{home} is shared: its locks have a holder that gives signs of life, each builder has a workspace of its\n"
        f"own, and each machine keeps its catalog for itself (here in {local_files(home)}).\n"
        "`thinkless doctor --cluster`, inside an allocation of Slurm, looks whether the machines agree."
    )
    return 0
