"""`python -m tests.benchmarks`: measure rows, keep each as JSON, write docs/benchmarks.md and docs/benchmarks.json.

A row that was measured before with the same sources, sizes and rounds is not measured again, so an interrupted run goes
on where it was. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks import commands, grading, pairing, rl, sampler, sft, store, update
from tests.benchmarks.contest import ROOT, run_contest, to_json
from tests.benchmarks.machine import describe_machine, missing_peers, num_cores
from tests.benchmarks.page import insert, render
from tests.benchmarks.row import Row, Setting, product_tag

ROWS: tuple[Row, ...] = (
    sft.make_row("tiny"), sft.make_row("17M"), sft.make_row("smollm2"), rl.make_row("tiny"), rl.make_row("17M"),
    rl.make_row("smollm2"), sampler.ROW,
    update.make_row("tiny"), update.make_row("17M"), pairing.ROW, grading.ROW, store.ROW, commands.SQL,
    commands.STARTUP,
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns its exit code."""
    arguments = _parser().parse_args(argv)
    setting = Setting(
        quick=arguments.quick, threads=arguments.threads or num_cores(), folder=arguments.folder.absolute()
    )
    setting.folder.mkdir(parents=True, exist_ok=True)
    if arguments.profile:
        command = [sys.executable, "-m", "tests.benchmarks.profiling", str(setting.folder), str(int(setting.quick))]
        return subprocess.run([*command, str(setting.threads)], cwd=ROOT).returncode
    wanted = arguments.rows.split(",") if arguments.rows else [row.name for row in ROWS]
    if unknown := sorted(set(wanted) - {row.name for row in ROWS}):
        print(f"unknown rows {unknown}; there are: {', '.join(row.name for row in ROWS)}", file=sys.stderr)
        return 2
    if missing := missing_peers(row for row in ROWS if row.name in wanted):
        print(f"not installed: {', '.join(missing)}; `make bench` makes an environment with them", file=sys.stderr)
        return 2
    machine = describe_machine()
    failed = [row.name for row in ROWS if row.name in wanted and not _measure(row, setting, arguments, machine)]
    _write(setting, arguments)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--rows", help=f"some of {','.join(row.name for row in ROWS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the benchmarks themselves")
    parser.add_argument("--repeats", type=int, help="rounds of every row (default: 3 or 5, by row)")
    parser.add_argument("--threads", type=int, help="cores for all rows but those of the tiny model (default: all)")
    parser.add_argument("--fresh", action="store_true", help="measure again what has been measured")
    parser.add_argument("--profile", action="store_true", help="operators by time, instead of measuring")
    parser.add_argument("--no-page", action="store_true", help="print the section; leave docs/ as it is")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "benchmarks", help="caches, logs, results")
    return parser


def _result_file(row: Row, setting: Setting) -> Path:
    return setting.folder / "rows" / f"{row.name}{'-quick' if setting.quick else ''}.json"


def _measure(row: Row, setting: Setting, arguments: argparse.Namespace, machine: dict[str, Any]) -> bool:
    """Measure one row, unless its numbers are there; returns whether they are there now."""
    file, repeats = _result_file(row, setting), arguments.repeats or row.repeats
    same = {
        "sources": product_tag(), "quick": setting.quick, "repeats": repeats, "cores": setting.threads,
        "machine": machine,
    }  # fmt: skip
    if file.exists() and not arguments.fresh:
        known = json.loads(file.read_text())
        if {name: known.get(name) for name in same} == same:
            print(f"{row.name}: measured before", flush=True)
            return True
    started = time.monotonic()
    try:
        row.prepare(setting)
        contests = row.contests(setting)
        prepared = time.monotonic()
        groups = [run_contest(group, repeats=repeats, log_dir=setting.folder / "logs" / row.name) for group in contests]
        row.describe(groups)
    except (RuntimeError, AssertionError, subprocess.CalledProcessError) as error:
        print(f"{row.name}: failed: {error}", file=sys.stderr, flush=True)
        return False
    outcome = same | {
        "row": row.name,
        "measured_at": datetime.now(UTC).isoformat(),
        "specs": [dict(contestant.spec) for group in contests for contestant in group],
        "groups": [to_json(group) for group in groups],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(outcome, indent=1))
    ended = time.monotonic()
    print(f"{row.name}: {ended - prepared:.0f} s ({prepared - started:.0f} s of preparation before)", flush=True)
    return True


def _write(setting: Setting, arguments: argparse.Namespace) -> None:
    """The page and the JSON from all rows of this size that have been measured."""
    known = [(row, json.loads(file.read_text())) for row in ROWS if (file := _result_file(row, setting)).exists()]
    if not known:
        return
    section = render(known)
    if arguments.no_page or setting.quick:
        print(section)
        return
    insert(section, ROOT / "docs" / "benchmarks.md")
    rows = {row.name: {k: v for k, v in outcome.items() if k != "specs"} for row, outcome in known}
    (ROOT / "docs" / "benchmarks.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
