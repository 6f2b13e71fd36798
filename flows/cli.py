"""The `thinkless` command: reads its arguments, calls one command, turns errors into a sentence and exit code 2.

Each command is imported only when it is called, so that help and SQL do not load torch or Prefect.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence

from flows.grammar.whole_grammar import build_parser
from flows.own_log import show_own_log


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (0: success, 2: an error that the user can correct, 130: interrupted)."""
    # Progress bars of other libraries (downloads, data sets, validation) would overwrite this program's own lines.
    os.environ.setdefault("TQDM_DISABLE", "1")
    # torch takes large tensors of the CPU in large pages: new ones are filled with zeros page by page.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    arguments = build_parser().parse_args(argv)
    show_own_log()
    module = "import_policy" if arguments.command == "import" else arguments.command  # a word of Python's
    command = importlib.import_module(f"flows.commands.{module}")
    from schemas.errors import ThinklessError

    try:
        if hasattr(arguments, "data"):  # a command that reads a configuration
            from flows.shorthand import spelled_out

            arguments.overrides = spelled_out(
                arguments.profile,
                overrides=arguments.overrides,
                limit=getattr(arguments, "limit", None),
                data=arguments.data,
            )
        return int(command.execute(arguments))
    except ThinklessError as error:
        print(f"thinkless: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("thinkless: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader (head, less) has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def run_and_exit() -> None:
    """The console script: run one command and end the process.

    The process ends before the interpreter unloads its modules: DuckDB's bindings would print pages about objects that
    other libraries still hold. Exit handlers run first (Prefect stops its temporary server in one).
    """
    try:
        code = main()
    except Exception as error:  # noqa: BLE001 - a fault of this program, or of a library under a foreign file
        code = _say_unforeseen(error)
    logging.shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _say_unforeseen(error: Exception) -> int:
    """One sentence on the screen, and the traceback in a file."""
    with tempfile.NamedTemporaryFile("w", prefix="thinkless-", suffix=".txt", encoding="utf-8", delete=False) as file:
        traceback.print_exception(error, file=file)
    said = " ".join(str(error).split())[:300]
    print(
        f"thinkless: not foreseen: {type(error).__name__}: {said}; the traceback is in {file.name}; `thinkless doctor` "
        "may name the cause, and the same command goes on from here",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    run_and_exit()
