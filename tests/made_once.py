"""What costs a minute to make and nobody changes: made once for all workers that run tests side by side."""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

Made = TypeVar("Made")


def made_once(name: str, make: Callable[[Path], Made], tmp_path_factory: pytest.TempPathFactory) -> Made:
    """What `make(folder)` returns, in the first worker that asks; the others wait, and read what it came to."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / name
    result = folder / "result.pickle"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not result.exists():
            folder.mkdir(exist_ok=True)
            result.write_bytes(pickle.dumps(make(folder)))
    made: Made = pickle.loads(result.read_bytes())
    return made
