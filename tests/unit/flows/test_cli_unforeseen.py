"""An error that nobody foresaw: one sentence, and nothing printed while the interpreter ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROGRAM = """
import duckdb, flows.cli
connection = duckdb.connect()
connection.execute("select 1")
def main():
    raise {error}
flows.cli.main = main
flows.cli.run_and_exit()
"""


def said_about(error: str) -> str:
    """What the console script writes to standard error."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(error=error)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    return done.stderr


def test_an_unforeseen_error_is_one_line_and_its_traceback_a_file() -> None:
    for error, name in (("TypeError('a\\n  b')", "TypeError: a b;"), ("MemoryError()", "MemoryError: ;")):
        said = said_about(error)
        assert said.startswith(f"thinkless: not foreseen: {name} the traceback is in ")
        assert len(said.splitlines()) == 1
        assert "nanobind" not in said
        file = Path(said.partition("the traceback is in ")[2].partition(";")[0])
        assert "Traceback (most recent call last)" in file.read_text(encoding="utf-8")
        file.unlink()
