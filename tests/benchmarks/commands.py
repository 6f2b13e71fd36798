"""Rows made of whole commands: their wall time from the shell's point of view, and the peak memory of their process.

`thinkless` is started as `python -m flows.cli`, which is what the installed script does: so the code is this tree's.

`startup`: `thinkless --help`, `thinkless sql`, a fully cached `thinkless run`, beside Python doing nothing.
`sql`: the same query over a million rows, its catalog in the page cache (warm) and dropped from it (cold).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.contest import ROOT, Contestant, SideResult
from tests.benchmarks.homes import SMALL_RUN, cached_home, million_home
from tests.benchmarks.row import Row, Setting, spread, table
from tests.benchmarks.turns import Side, Spec, Turns

STEPS_PER_TURN = 2
SMALL_QUERY = "select model, mode, accuracy from eval_summary"
LARGE_QUERY = (
    "select split, difficulty, count(*) as n, avg(think_tokens) as tokens from pairs group by all order by all"
)


def command(spec: Spec, turns: Turns) -> None:
    """Run one command again and again; it must succeed."""
    environment = os.environ | {"THINKLESS_HOME": spec["home"]}
    program = [sys.executable, "-m", "flows.cli"] if spec["arguments"][0] == "thinkless" else [sys.executable]
    while True:
        if spec.get("cold"):
            _forget(Path(spec["home"]))
        process = subprocess.Popen(
            [*program, *spec["arguments"][1:]],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0, f"{spec['arguments']} ended with status {status}: {said}"
        if spec.get("expect"):
            assert spec["expect"] in said, f"expected {spec['expect']!r} in: {said}"
            assert " built " not in said, f"something was built: {said}"
        unit = 1 if sys.platform == "darwin" else 1024
        turns.note(child_memory=usage.ru_maxrss * unit)
        turns.step()


def _forget(home: Path) -> None:
    """Drop a home's files from the page cache, where the operating system lets us."""
    if hasattr(os, "posix_fadvise"):
        for path in home.glob("catalog.duckdb*"):
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


SIDES: dict[str, Side] = {"command": command}


def _contestant(name: str, arguments: Sequence[str], setting: Setting, home: Path, **more: Any) -> Contestant:
    spec = {
        "arguments": list(arguments),
        "home": str(home),
        "threads": setting.threads,
        "steps_per_turn": STEPS_PER_TURN,
    }
    return Contestant("commands", "command", spec | more, name)


def startup_contests(setting: Setting) -> list[list[Contestant]]:
    """The commands take turns."""
    home = cached_home(setting)
    return [
        [
            _contestant("`python -c pass`", ["python", "-c", "pass"], setting, home),
            _contestant("`thinkless --help`", ["thinkless", "--help"], setting, home),
            _contestant("`thinkless sql`", ["thinkless", "sql", SMALL_QUERY], setting, home),
            _contestant("`thinkless run`, all cached", ["thinkless", *SMALL_RUN], setting, home, expect="cached"),
        ]
    ]


def sql_contests(setting: Setting) -> list[list[Contestant]]:
    """Warm and cold take turns: a cold one leaves the catalog in the cache again."""
    home = million_home(setting)
    arguments = ["thinkless", "sql", LARGE_QUERY]
    return [
        [
            _contestant("warm", arguments, setting, home),
            _contestant("cold", arguments, setting, home, cold=True),
        ]
    ]


def describe(groups: Sequence[Sequence[SideResult]]) -> str:
    """One line per command."""
    lines = [
        [result.name, spread(result.seconds_per_step()), f"{result.notes['child_memory'] / 1e6:,.0f}"]
        for group in groups
        for result in group
    ]
    return table(["command", "wall, s", "peak memory, MB"], lines)


STARTUP = Row("startup", "Start-up", startup_contests, describe, 5, lambda setting: cached_home(setting, make=True))
SQL = Row(
    "sql",
    "`thinkless sql` on a million rows",
    sql_contests,
    describe,
    5,
    lambda setting: million_home(setting, make=True),
)
