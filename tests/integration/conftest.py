"""One small pipeline, built once; every test that changes something has a copy of its home."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from flows.cli import main
from tests.forked import ForkedPython
from tests.integration.driver import FinishedRun, run_pipeline
from tests.integration.processes import ROOT, Said, environment, fresh_command
from tests.made_once import made_once


@dataclass(frozen=True)
class BuiltHome:
    """A home with everything in it, and the run that built it."""

    path: Path
    run: FinishedRun


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuiltHome:
    """The small pipeline, run once; nothing may change it."""
    return made_once(
        "built", lambda folder: BuiltHome(folder / "home", run_pipeline(folder / "home")), tmp_path_factory
    )


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """tests/integration/prefect_runs.py, with its server up; imported only here, as that takes ten seconds."""
    from tests.integration import prefect_runs

    with prefect_runs.server(tmp_path_factory.mktemp("prefect")):
        yield prefect_runs


@pytest.fixture
def home(built: BuiltHome, tmp_path: Path) -> Path:
    """A copy of the built home, for one test to change."""
    copy = tmp_path / "home"
    shutil.copytree(built.path, copy)
    return copy


@pytest.fixture
def thinkless(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Said]:
    """The command line in a process of its own: `thinkless(home, "sql", "select 1")`."""

    def call(home: Path, *arguments: str, cwd: Path = ROOT, **variables: str) -> Said:
        env = environment(home, **variables)
        if any(name.startswith("HF_") for name in variables):  # read once, when the Hub's client is imported
            return fresh_command(arguments, cwd=cwd, env=env)
        folder = tmp_path_factory.mktemp("said")
        out, err = folder / "out", folder / "err"
        process = ForkedPython(["-m", "flows.cli", *arguments], cwd=cwd, env=env, stdout=out, stderr=err)
        try:
            code = process.wait(timeout=300)
        finally:
            process.kill()
        return Said(code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))

    return call


@pytest.fixture
def thinkless_here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """The same in this process: for what a command says, not for what it loads or leaves behind."""

    def call(home: Path, *arguments: str) -> Said:
        monkeypatch.setenv("THINKLESS_HOME", str(home))
        monkeypatch.setenv("NO_COLOR", "1")
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as ended:  # argparse
            code = int(ended.code or 0)
        return Said(code, *capsys.readouterr())

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
