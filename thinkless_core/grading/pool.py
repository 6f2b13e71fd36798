"""Grading processes that may be killed: started when first needed, replaced when one dies.

pairs of values -> queue -> one thread per process -> line out, line in -> outcomes, in the order of the pairs
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO

from schemas.errors import EvaluationError
from thinkless_core.grading import worker

PAIRS_PER_WORKER = 64
"""Pairs that are worth the half second a further process needs to start."""


class GradingProcess:
    """One process that compares values. Raises EvaluationError if math-verify cannot be loaded."""

    def __init__(self) -> None:
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints:
            self._process = subprocess.Popen(
                [sys.executable, "-P", worker.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                encoding="utf-8",
            )
            if self._lines_in.readline().strip() != worker.READY:
                status = self._process.wait()
                complaints.seek(0)
                why = (complaints.read().strip().splitlines() or ["nothing said"])[-1]
                raise EvaluationError(
                    f"the grading process ended with status {status} before its first pair ({why[:200]}); the strict "
                    f"grader needs math-verify beside {sys.executable}: install the project's requirements there"
                )

    @property
    def _lines_in(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def _lines_out(self) -> IO[str]:
        assert self._process.stdin is not None
        return self._process.stdin

    def compare(self, answer: str, reference: str, *, timeout_seconds: float) -> str:
        """`equal`, `different` or `unparsable`; `timeout` or `crashed` if the process died of it."""
        try:
            pair = {"answer": answer, "reference": reference, "seconds": timeout_seconds}
            self._lines_out.write(json.dumps(pair) + "\n")
            self._lines_out.flush()
            line = self._lines_in.readline()
        except BrokenPipeError:
            line = ""
        if line.endswith("\n"):
            return str(json.loads(line)["outcome"])
        ended_by = -self._process.wait()
        self.close()
        return "timeout" if ended_by in (signal.SIGPROF, signal.SIGALRM) else "crashed"

    @property
    def alive(self) -> bool:
        """Whether it can take another pair."""
        return self._process.poll() is None

    def close(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self._lines_in.close()
        with contextlib.suppress(BrokenPipeError):  # what was not yet read is lost with the process
            self._lines_out.close()


class GradingPool:
    """Grading processes that stay for the next call; one batch at a time."""

    def __init__(self) -> None:
        self._idle: queue.SimpleQueue[GradingProcess] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self.num_started = 0
        """Processes started so far: 0 as long as nothing needed one."""

    def compare(self, pairs: Sequence[tuple[str, str]], *, timeout_seconds: float, workers: int) -> list[str]:
        """Outcome of every (answer, reference), see GradingProcess.compare; raises EvaluationError."""
        outcomes = [""] * len(pairs)
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in range(len(pairs)):
            waiting.put(index)

        def work() -> None:
            process: GradingProcess | None = None
            try:
                while True:
                    index = waiting.get_nowait()
                    if process is None or not process.alive:
                        process = self._take()
                    outcomes[index] = process.compare(*pairs[index], timeout_seconds=timeout_seconds)
            except queue.Empty:
                pass
            finally:
                if process is not None and process.alive:
                    self._idle.put(process)

        threads = max(1, min(workers, -(-len(pairs) // PAIRS_PER_WORKER)))
        with self._lock, ThreadPoolExecutor(threads, thread_name_prefix="grading") as executor:
            try:
                for running in [executor.submit(work) for _ in range(threads)]:
                    running.result()
            except BaseException:  # an interrupt must not wait for the rest of the batch
                with contextlib.suppress(queue.Empty):
                    while True:
                        waiting.get_nowait()
                raise
        return outcomes

    def _take(self) -> GradingProcess:
        """A process that waits, or a new one."""
        while True:
            try:
                process = self._idle.get_nowait()
            except queue.Empty:
                self.num_started += 1
                return GradingProcess()
            if process.alive:
                return process

    def close(self) -> None:
        """End all processes that wait."""
        while not self._idle.empty():
            self._idle.get_nowait().close()


_pools: dict[int, GradingPool] = {}


def shared_pool() -> GradingPool:
    """The pool of this process; a forked child gets its own, for two may not talk through one pipe."""
    pid = os.getpid()
    if pid not in _pools:
        _pools.clear()
        _pools[pid] = GradingPool()
        atexit.register(_pools[pid].close)
    return _pools[pid]
