"""Signs of life of the processes that train together, so that a hang ends with the name of the one that is missing.

process R, every second -> pulse-R.json (beat, meetings it has come to)
launcher, every look    -> a process without a new beat, or behind the others for too long -> a sentence that names it
launcher, every second  -> launcher.json, without which the processes of other machines end

Seconds are counted by whoever looks, while it is awake: clocks of machines are never compared, and a program that was
stopped for an hour does not take the others for dead.
"""

from __future__ import annotations

import json
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

BEAT_SECONDS = 1.0
SILENCE_SECONDS = 120.0
"""Whoever gives no sign for so long is taken for dead."""
STUCK_SECONDS = 600.0
"""The longest that processes are in one meeting after all have come."""
START_SECONDS = 900.0
"""The longest that processes take to start: torch waits as long for machines that join."""
LAUNCHER_FILE = "launcher.json"


class Pulse(NamedTuple):
    """The last sign of one process."""

    beat: int
    number: int
    """Meetings of all processes that it has come to."""
    last: str
    """What the last one was for."""
    inside: bool
    """Whether it is in that one."""


class Progressed(NamedTuple):
    """How far a process has come."""

    number: int
    last: str
    inside: bool


def pulse_file(folder: Path, rank: int) -> Path:
    """File with the last sign of process `rank`."""
    return folder / f"pulse-{rank}.json"


def start_pulse(folder: Path, rank: int, *, read: Callable[[], Progressed], longest_silence: float = math.inf) -> None:
    """Write a sign every second, in a thread. This process ends if its launcher gives none for `longest_silence`.

    For a process on the launcher's machine its parent is enough (infra/processes/launched_process.py).
    """
    threading.Thread(target=_give_signs, args=(folder, rank, read, longest_silence), daemon=True).start()


def _give_signs(folder: Path, rank: int, read: Callable[[], Progressed], longest_silence: float) -> None:
    launcher, beat = _Silence(), 0
    while True:
        beat += 1
        _write(pulse_file(folder, rank), Pulse(beat, *read()))
        if launcher.seconds_since(_read(folder / LAUNCHER_FILE), BEAT_SECONDS) > longest_silence:
            said = f"no sign of the launcher for {longest_silence:g} s; process {rank} ends"
            print(said, file=sys.stderr, flush=True)
            os._exit(1)
        time.sleep(BEAT_SECONDS)


@dataclass
class _Silence:
    """Seconds for which something has been the same."""

    what: object = None
    seconds: float = 0.0

    def seconds_since(self, what: object, passed: float) -> float:
        """Seconds for which it has been `what`, `passed` of them since the last look."""
        self.seconds = self.seconds + passed if what == self.what else 0.0
        self.what = what
        return self.seconds


@dataclass
class PulseWatch:
    """The launcher's look at all processes."""

    folder: Path
    hosts: tuple[str, ...]
    """Machine of each process."""
    longest_wait_seconds: float
    _beats: list[_Silence] = field(default_factory=list)
    _behind: _Silence = field(default_factory=_Silence)
    _slept: float = 0.0
    _beat: int = 0

    def look(self, passed: float) -> str | None:
        """What is wrong, if something is: a process that gives no sign, or that the others have waited for too long.

        `passed` are the seconds since the last look, while this process was awake.
        """
        self._slept += passed
        if self._slept < BEAT_SECONDS:
            return None
        passed, self._slept = self._slept, 0.0
        self._beat += 1
        _write(self.folder / LAUNCHER_FILE, (self._beat,))
        pulses = [_pulse(self.folder, rank) for rank in range(len(self.hosts))]
        self._beats = self._beats or [_Silence(what=False) for _ in pulses]
        return self._silent(pulses, passed) or self._missing(pulses, passed)

    def _silent(self, pulses: list[Pulse | None], passed: float) -> str | None:
        for rank, (pulse, silence) in enumerate(zip(pulses, self._beats, strict=True)):
            seconds = silence.seconds_since(pulse and pulse.beat, passed)
            if pulse is None and seconds > START_SECONDS:
                return f"{self._name(rank)} has not started within {seconds:.0f} s"
            if pulse is not None and seconds > min(SILENCE_SECONDS, self.longest_wait_seconds):
                return f"{self._name(rank)} has given no sign for {seconds:.0f} s"
        return None

    def _missing(self, pulses: list[Pulse | None], passed: float) -> str | None:
        """The processes that have been behind the first one for too long."""
        known = [pulse for pulse in pulses if pulse is not None]
        if len(known) < len(pulses):
            return None
        first = max(known, key=lambda pulse: pulse.number)
        behind = [rank for rank, pulse in enumerate(known) if pulse.number < first.number]
        met = not behind and all(pulse.inside for pulse in known)
        seconds = self._behind.seconds_since((first.number, tuple(behind), met), passed)
        if met and seconds > min(STUCK_SECONDS, self.longest_wait_seconds):
            machines = ", ".join(dict.fromkeys(self.hosts))
            return (
                f"all processes came to meeting {first.number}, {first.last}, and none got through within "
                f"{seconds:.0f} s: is the network between {machines} whole, and its interface the right one "
                "(THINKLESS_NETWORK_INTERFACE)?"
            )
        if not behind or seconds <= self.longest_wait_seconds:
            return None
        names = " and ".join(map(self._name, behind))
        return (
            f"{names} did not come to meeting {first.number}, {first.last}, within {seconds:.0f} s "
            "(THINKLESS_LONGEST_WAIT_SECONDS)"
        )

    def _name(self, rank: int) -> str:
        return f"process {rank} of {len(self.hosts)} on {self.hosts[rank]}"


def _pulse(folder: Path, rank: int) -> Pulse | None:
    found = _read(pulse_file(folder, rank))
    return None if found is None else Pulse(*found)


def _read(path: Path) -> Any:
    """The content of a file; None if there is none, or if it cannot be read now: on a shared disk that may pass."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def _write(path: Path, content: tuple[int | str | bool, ...]) -> None:
    part = path.with_suffix(".part")
    with suppress(OSError):  # a full disk is named by who needs it, and the folder may be gone already
        part.write_text(json.dumps(content), encoding="utf-8")
        part.replace(path)
