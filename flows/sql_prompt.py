"""The prompt of `thinkless sql`: statements over several lines until `;`, with history and completion of names.

line -> statement -> read-only query -> rows, or an error in a line
"""

from __future__ import annotations

import readline
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa

from schemas.errors import QueryError, ThinklessError

HISTORY_NAME = "sql_history"
COMMANDS = (".tables", ".columns", ".quit")
HELP = "SQL ends with ; (over several lines, too). .tables, .columns TABLE and .quit; Tab completes names"
NAMES = (
    "select table_name as name from information_schema.tables union select column_name from information_schema.columns"
)

Query = Callable[[str], pa.Table]


def run_prompt(
    query: Query, *, show: Callable[[pa.Table], None], home: Path, ask: Callable[[str], str] = input
) -> None:
    """Answer statements until `.quit` or the end of the input; the history is a file in `home`."""
    names = sorted({*COMMANDS, *query(NAMES)["name"].to_pylist()})
    print(HELP)
    lines: list[str] = []
    with _line_editing(names, history=home / HISTORY_NAME):
        while True:
            try:
                lines.append(ask("      ...> " if lines else "thinkless> "))
                statement = "\n".join(lines).strip()
                if statement and not statement.startswith(".") and not statement.endswith(";"):
                    continue
                lines.clear()
                if statement == ".quit":
                    return
                if statement:
                    show(query(_sql(statement)))
            except ThinklessError as error:
                print("error:", " ".join(str(error).partition("\n\nLINE ")[0].split()))
            except KeyboardInterrupt:  # leaves the statement, not the prompt
                lines.clear()
                print()
            except EOFError:
                print()
                return


def _sql(statement: str) -> str:
    """The SQL of a statement or of a command with a point; raises QueryError for a command there is not."""
    match statement.split():
        case [".tables"]:
            return "show tables"
        case [".columns", table]:
            return f'describe "{table.removesuffix(";")}"'
        case [name, *_] if name.startswith("."):
            raise QueryError(f"{statement!r} is no command; expected .tables, .columns TABLE or .quit")
        case _:
            return statement


@contextmanager
def _line_editing(names: Sequence[str], *, history: Path) -> Iterator[None]:
    """GNU readline with completion of `names` and the history of earlier prompts, which is written at the end."""
    readline.set_completer_delims(" \t\n,;()=<>+-*/")
    readline.set_completer(lambda text, nth: [*(n for n in names if n.startswith(text)), None][nth])
    readline.parse_and_bind("tab: complete")
    readline.clear_history()
    with suppress(OSError):
        readline.read_history_file(history)
    try:
        yield
    finally:
        readline.set_history_length(1000)
        with suppress(OSError):  # a home that cannot be written keeps no history
            readline.write_history_file(history)
