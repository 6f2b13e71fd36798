"""The worker's end of a contest: one side, in a process of its own, that works only when it is its turn.

python -m tests.benchmarks.turns ROW SIDE SPEC -> import the row's module -> side(spec, turns) -> one JSON line per turn

A side is an ordinary loop (a trainer's, or `while True`) that calls `turns.step` after every piece of work. The call
stops the clock at the end of a turn and blocks until the driver gives the next one, so the other sides have the
machine to themselves meanwhile, while models, optimiser state and imports stay warm. The first steps are warm-up.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

Spec = Mapping[str, Any]
"""What a row is measured with: sizes, thread count, folders; JSON values."""
Side = Callable[[Spec, "Turns"], None]


class Finished(BaseException):
    """The driver has no more turns to give; unwinds any trainer's loop."""


@dataclass
class Turns:
    """The turns of one side."""

    replies: IO[str]
    orders: IO[str]
    warmup_steps: int
    steps_per_turn: int
    _steps: int = 0
    _sums: Counter[str] = field(default_factory=Counter)
    _notes: dict[str, Any] = field(default_factory=dict)
    _started: float = 0.0
    _memory_before: int | None = None
    """Peak before the first turn: imports, data, and the warm-up where there is one."""

    def note(self, **facts: object) -> None:
        """Facts about this side that go into the row as they are (counts of parameters, FLOPs of a step...)."""
        self._notes.update(facts)

    def step(self, **sums: float) -> None:
        """A piece of work is done; `sums` (tokens, rows, seconds of a phase) are added up over the turn."""
        wait_for_device()
        now = time.perf_counter()
        self._steps += 1
        if self._steps <= self.warmup_steps:
            if self._steps == self.warmup_steps:
                self._await_turn()
            return
        self._sums.update(sums)
        if (self._steps - self.warmup_steps) % self.steps_per_turn == 0:
            self._reply(seconds=now - self._started, steps=self.steps_per_turn, sums=dict(self._sums))
            self._await_turn()

    def begin(self) -> None:
        """For sides without warm-up: wait for the first turn before any work is done."""
        if self.warmup_steps == 0 and self._steps == 0:
            self._await_turn()

    def _await_turn(self) -> None:
        if self._memory_before is None:
            self._memory_before = high_water_mark()
        self._reply(ready=True)
        if self.orders.readline().strip() != "go":
            self._reply(notes=self._notes, memory=peak_memory() | {"before": self._memory_before})
            raise Finished
        self._sums.clear()
        self._started = time.perf_counter()

    def _reply(self, **content: object) -> None:
        print(json.dumps(content), file=self.replies, flush=True)


def wait_for_device() -> None:
    """Let a CUDA device finish what was queued; without one, or without torch, nothing is waited for."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_memory() -> dict[str, int]:
    """Largest resident memory of this process so far and, where one is used, of the device; bytes."""
    peaks = {"host": high_water_mark()}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        peaks["device"] = torch.cuda.max_memory_allocated()
    return peaks


def high_water_mark() -> int:
    """Largest resident memory of this process so far, bytes.

    `ru_maxrss` would not do where the kernel keeps a mark of its own: there a child begins with its parent's.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main(row: str, side: str, spec_json: str) -> None:
    """Work as one side of one row."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not mix with the replies
    spec = json.loads(spec_json)
    turns = Turns(replies, sys.stdin, spec.get("warmup_steps", 1), spec.get("steps_per_turn", 1))
    module = importlib.import_module(f"tests.benchmarks.{row}")
    try:
        module.SIDES[side](spec, turns)
    except Finished:
        replies.flush()
        os._exit(0)  # trainers and engines take their time to tear down what nobody needs any more
    raise SystemExit(f"side {side} of row {row} ended by itself; a side works until it is told to stop")


if __name__ == "__main__":
    # Under `-m` this file is `__main__`; rows import it by its name, and `Finished` must be one class.
    importlib.import_module("tests.benchmarks.turns").main(*sys.argv[1:])
