"""Two homes that the rows about store, catalog and commands look into: a small finished run, and one large table.

They are made once for each state of the sources: a home of other code would not be all hits.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.contest import ROOT
from tests.benchmarks.row import Setting, product_tag

SMALL_RUN = (
    "run", "--profile", "tiny", "--set", "problems.source.num_problems=600", "--set", "sft.steps=12",
    "--set", "rl.steps=4", "--set", "evaluate.limit=20",
)  # fmt: skip
"""The whole pipeline in a minute, learning nothing."""
WHOLE = "made-whole"
"""File in a home that was made to its end: homes know their own paths, so they are not renamed afterwards."""
LARGE, QUICK_LARGE = 1_000_000, 10_000
"""Pairs in the large table."""


def cached_home(setting: Setting, *, make: bool = False) -> Path:
    """A home in which SMALL_RUN has run to its end."""
    home = setting.folder / "homes" / f"small-{product_tag()}"
    if make and not (home / WHOLE).exists():
        _clear(home.parent, "small-")
        subprocess.run(
            [sys.executable, "-m", "flows.cli", *SMALL_RUN],
            cwd=ROOT,
            env=os.environ | {"THINKLESS_HOME": str(home)},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (home / WHOLE).touch()
    return home


def million_home(setting: Setting, *, make: bool = False) -> Path:
    """A home with one artifact of stage `pairs`, published and in the catalog."""
    size = QUICK_LARGE if setting.quick else LARGE
    home = setting.folder / "homes" / f"{size}-{product_tag()}"
    if make and not (home / WHOLE).exists():
        _clear(home.parent, f"{size}-")
        command = [sys.executable, "-m", "tests.benchmarks.store", str(size), str(setting.folder), str(home)]
        subprocess.run(command, cwd=ROOT, check=True)
        (home / WHOLE).touch()
    return home


def _clear(folder: Path, prefix: str) -> None:
    """Remove homes of earlier sources."""
    for old in folder.glob(f"{prefix}*"):
        shutil.rmtree(old)
