"""The driver's end of a contest: sides take turns A B A B, and what they report becomes a row.

contestants (one process each) -> warm-up one after the other -> `repeats` rounds, one turn per side and round
      -> medians, ratios with their spread, peak memory

Only one side works at any moment. The order within a round alternates, so that a machine that slows down
during the row does not favour anybody.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LAST_LINES = 25
"""Lines of a failed worker's output that are shown."""


@dataclass(frozen=True)
class Contestant:
    """One side of one row."""

    module: str
    """File under tests/benchmarks that has it."""
    side: str
    spec: Mapping[str, Any]
    name: str
    """How the table calls it."""
    max_rounds: int | None = None
    """Takes part in the first rounds only, where it is so slow that more would not pay."""


@dataclass(frozen=True)
class Turn:
    """What one turn came to."""

    seconds: float
    steps: int
    sums: Mapping[str, float]


@dataclass(frozen=True)
class SideResult:
    """All turns of one side."""

    name: str
    turns: list[Turn]
    notes: Mapping[str, Any] = field(default_factory=dict)
    memory: Mapping[str, int] = field(default_factory=dict)

    def seconds_per_step(self) -> list[float]:
        """One number per turn."""
        return [turn.seconds / turn.steps for turn in self.turns]

    def rates(self, unit: str) -> list[float]:
        """`unit` (a key of the sums) per second, one number per turn."""
        return [turn.sums[unit] / turn.seconds for turn in self.turns]

    def per_step(self, quantity: str) -> list[float]:
        """A quantity of the sums per step, one number per turn."""
        return [turn.sums[quantity] / turn.steps for turn in self.turns]


@dataclass(frozen=True)
class Ratio:
    """How many times better: median of the rounds' own ratios, with the worst and the best round."""

    median: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.lowest:.2f}-{self.highest:.2f})"


def ratio_of(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Ratio `ours / theirs` round by round: both numbers of a round were taken right after each other.

    Where one side took part in fewer rounds, those count.
    """
    rounds = [a / b for a, b in zip(ours, theirs, strict=False)]
    return Ratio(statistics.median(rounds), min(rounds), max(rounds))


class Worker:
    """A contestant's process."""

    def __init__(self, contestant: Contestant, *, log: Path) -> None:
        self.contestant = contestant
        self._log = log
        threads = str(contestant.spec["threads"])
        environment = os.environ | {
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "RAYON_NUM_THREADS": threads,
            "TOKENIZERS_PARALLELISM": "true",
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
            "TRL_EXPERIMENTAL_SILENCE": "1",
        }
        command = [sys.executable, "-m", "tests.benchmarks.turns", contestant.module, contestant.side]
        self._process = subprocess.Popen(
            [*command, json.dumps(dict(contestant.spec))],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("w"),
            text=True,
        )

    def wait_until_ready(self) -> None:
        """Wait for the end of imports, preparation and warm-up, or of the turn just reported."""
        assert self._reply() == {"ready": True}

    def turn(self) -> Turn:
        """Give one turn and wait for its end."""
        self._order("go")
        reply = self._reply()
        self.wait_until_ready()
        return Turn(reply["seconds"], reply["steps"], reply["sums"])

    def finish(self) -> tuple[dict[str, Any], dict[str, int]]:
        """End the process; returns its notes and its peak memory."""
        self._order("stop")
        reply = self._reply()
        self._process.wait(timeout=60)
        return reply["notes"], reply["memory"]

    def kill(self) -> None:
        """End the process if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _order(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            said = self._log.read_text(errors="replace").splitlines()[-LAST_LINES:]
            raise RuntimeError(
                f"{self.contestant.name} ({self.contestant.module}:{self.contestant.side}) ended with "
                f"{self._process.wait()} before its turn was over; it said:\n" + "\n".join(said)
            )
        return dict(json.loads(line))


def run_contest(contestants: Sequence[Contestant], *, repeats: int, log_dir: Path) -> list[SideResult]:
    """Let the sides take turns; returns their results in the order of `contestants`."""
    log_dir.mkdir(parents=True, exist_ok=True)
    workers: list[Worker] = []
    turns: list[list[Turn]] = [[] for _ in contestants]
    try:
        for contestant in contestants:
            workers.append(Worker(contestant, log=log_dir / f"{len(workers)}-{contestant.side}.log"))
            workers[-1].wait_until_ready()
        for round_number in range(repeats):
            order = range(len(workers)) if round_number % 2 == 0 else reversed(range(len(workers)))
            for index in order:
                limit = contestants[index].max_rounds
                if limit is not None and round_number >= limit:
                    continue
                turns[index].append(workers[index].turn())
        ends = [worker.finish() for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    return [
        SideResult(contestant.name, side_turns, notes, memory)
        for contestant, side_turns, (notes, memory) in zip(contestants, turns, ends, strict=True)
    ]


def to_json(results: Sequence[SideResult]) -> list[dict[str, Any]]:
    """The results as JSON values."""
    return [asdict(result) for result in results]


def from_json(values: Sequence[Mapping[str, Any]]) -> list[SideResult]:
    """The results as they were before `to_json`."""
    return [SideResult(v["name"], [Turn(**turn) for turn in v["turns"]], v["notes"], v["memory"]) for v in values]
