"""One small pipeline, built once; every test that changes something has a copy of its home."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.driver import FinishedRun, run_pipeline
from tests.integration.processes import ROOT, environment


@dataclass(frozen=True)
class BuiltHome:
    """A home with everything in it, and the run that built it."""

    path: Path
    run: FinishedRun


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuiltHome:
    """The small pipeline, run once; nothing may change it."""
    path = tmp_path_factory.mktemp("built") / "home"
    return BuiltHome(path, run_pipeline(path))


@pytest.fixture
def home(built: BuiltHome, tmp_path: Path) -> Path:
    """A copy of the built home, for one test to change."""
    copy = tmp_path / "home"
    shutil.copytree(built.path, copy)
    return copy


@pytest.fixture
def thinkless(tmp_path: Path) -> Callable[..., Said]:
    """The command line in a process of its own: `thinkless(home, "sql", "select 1")`."""

    def call(home: Path, *arguments: str, cwd: Path = ROOT, **variables: str) -> Said:
        finished = subprocess.run(
            [str(Path(sys.executable).with_name("thinkless")), *arguments],
            cwd=cwd,
            env=environment(home, **variables),
            capture_output=True,
            text=True,
            timeout=300,
        )
        return Said(finished.returncode, finished.stdout, finished.stderr)

    return call


@pytest.fixture(autouse=True)
def _plain_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress as lines in the log, on a terminal too."""
    monkeypatch.setenv("TTY_COMPATIBLE", "0")


@pytest.fixture(autouse=True)
def _own_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """All of this project's log in `caplog`, also after a command line has redirected it."""
    own = logging.getLogger("thinkless")
    before = own.handlers, own.level, own.propagate
    own.handlers, own.propagate = [], True
    caplog.set_level(logging.INFO, logger="thinkless")
    yield
    own.handlers, own.level, own.propagate = before
