"""`thinkless sql` without a query: a prompt on a terminal, which is a pseudo-terminal here."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.sql_prompt import HISTORY_NAME, run_prompt
from infra.catalog.query import run_query
from tests.integration.conftest import BuiltHome
from tests.integration.processes import ROOT, environment


def script(*lines: str) -> Callable[[str], str]:
    """What a user types, line by line; then the end of the input."""
    typed: Iterator[str] = iter(lines)

    def ask(prompt: str) -> str:
        try:
            line = next(typed)
        except StopIteration:
            raise EOFError from None
        if line == "^C":
            raise KeyboardInterrupt
        return line

    return ask


def answered(home: Path, history: Path, capsys: pytest.CaptureFixture[str], *lines: str) -> str:
    """What the prompt prints."""
    run_prompt(
        lambda sql: run_query(home, sql, timeout_seconds=20),
        show=lambda table: print(table.to_pylist()),
        home=history,
        ask=script(*lines),
    )
    return capsys.readouterr().out.partition("\n")[2]  # below the line of help


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["select 1 as a;"], "[{'a': 1}]\n\n"),
        (["select 1", "  as a", ";"], "[{'a': 1}]\n\n"),
        (["", "select 1", "^C", "select 2 as b;"], "\n[{'b': 2}]\n\n"),
        ([".quit", "select 1 as a;"], ""),
        ([".columns nothing_of_the_kind"], "error: the query failed: "),
        ([".drop pairs"], "error: '.drop pairs' is no command; expected .tables, .columns TABLE or .quit\n"),
        (["drop table pairs;"], "error: DROP is refused: "),
        (["select nothing_of_the_kind from pairs;", "select 3 as c;"], "[{'c': 3}]\n"),
    ],
)
def test_statements_end_with_a_semicolon_and_errors_do_not_end_the_prompt(
    lines: list[str], said: str, built: BuiltHome, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = answered(built.path, tmp_path, capsys, *lines)
    assert said in out if said else out == ""
    assert all(line.startswith(("error: ", "[{")) for line in out.splitlines() if line)


def test_tables_and_columns_are_listed(built: BuiltHome, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = answered(built.path, tmp_path, capsys, ".tables", ".columns eval_summary")
    assert all(f"'{name}'" in out for name in ("pairs", "eval_summary", "accuracy", "mean_tokens"))


def test_a_terminal_completes_names_and_remembers_what_was_asked(home: Path) -> None:
    ours, theirs = pty.openpty()
    env = environment(home, TERM="xterm", PYTHONPATH=str(ROOT))
    with subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "sql", "--format", "csv"], stdin=theirs, stdout=theirs, stderr=theirs,
        cwd=ROOT, env=env,
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = said_until(ours, "thinkless> ")
        os.write(ours, b"select count(*) as number from eval_compl\t;\n")
        shown += said_until(ours, "thinkless> ")
        os.write(ours, b".quit\n")
        assert process.wait(timeout=60) == 0
    os.close(ours)
    assert "from eval_completions" in shown
    assert "\r\nnumber\r\n" in shown
    assert "select count(*) as number from eval_completions" in (home / HISTORY_NAME).read_text(encoding="utf-8")


def said_until(terminal: int, end: str) -> str:
    """What a program writes to its terminal, up to its prompt."""
    shown = ""
    while not shown.endswith(end):
        shown += os.read(terminal, 4096).decode()
    return shown
