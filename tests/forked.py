"""Python processes that begin with torch loaded: forked from one in which nothing else ever happens.

A fresh interpreter takes up to ten seconds of a slow core before it does anything, and tests start two hundred. In all
else a forked process is one like any other: with an environment, a group and an output of its own, to be killed.
What a command loads, and that it can load it, is tested with fresh interpreters (test_cached_run.py, test_layers.py).
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

LOADED_BEFORE = (
    "accelerate",
    "duckdb",
    "pyarrow.parquet",
    "pydantic",
    "torch",
    "transformers",
    "transformers.models.qwen2.modeling_qwen2",
    "transformers.models.qwen2.tokenization_qwen2",
    "tests.forked",
)
"""Nothing of the product, whose modules a command must find by itself, and nothing that Prefect sets up on import."""
FORKS = multiprocessing.get_context("forkserver")
"""For functions of a test in processes of their own.

One that is forked from the test session itself inherits what tests before it left there: Prefect's services, which it
would try to end as it ends, and fail.
"""
FORKS.set_forkserver_preload(list(LOADED_BEFORE))


class ForkedPython:
    """`python WORDS`, with the part of subprocess.Popen that tests use; WORDS begin with `-m MODULE` or `-c TEXT`."""

    def __init__(
        self, words: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdout: Path, stderr: Path | None = None
    ) -> None:
        places = str(cwd), dict(env), str(stdout), str(stderr or stdout)
        self._process = FORKS.Process(target=_python, args=(list(words), *places))
        self._process.start()

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code, minus the signal that ended it, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code once it has ended; raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("forked python", timeout or 0.0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _python(words: list[str], cwd: str, env: dict[str, str], stdout: str, stderr: str) -> None:
    """Become a process like a fresh one, then do what `python WORDS` does."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for path, number in ((stdout, 1), (stderr, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w", encoding="utf-8"), os.fdopen(2, "w", buffering=1, encoding="utf-8")
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    how, what, *sys.argv[1:] = words
    if how == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
