"""The `thinkless` command: reads its arguments, calls one command, turns errors into a sentence and exit code 2.

Each command is imported only when it is called, so that help and SQL do not load torch or Prefect.
"""

from __future__ import annotations

import argparse
import atexit
import importlib
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

EXAMPLES = """examples:
  thinkless run --profile tiny                          the whole pipeline, minutes on a CPU
  thinkless run --profile tiny --set rl.gamma=0.3       the same, with one thing changed
  thinkless run --profile tiny --refresh rl             rerun one stage and what depends on it
  thinkless run --dry-run --set rl.gamma=0.3            what would be built, and why; builds nothing
  thinkless why rl                                      a hit, or what differs from the nearest artifact
  thinkless study claims                                the paper's claims, measured over 5 seeds
  thinkless sql "select * from eval_summary"            ask the data
  thinkless grade answers.jsonl                         judge given answers against their references
  thinkless lineage rl                                  what the newest policy was made from
  thinkless ask "37+48=?"                               ask the newest model
  thinkless export my-model                             the newest model as a folder, with cards and data
"""

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

DATA_HELP = "read well-known data sets from their copies in this folder (gsm8k_train.jsonl, math500.json...)"


def build_parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    parser = argparse.ArgumentParser(
        prog="thinkless",
        description="Teach a language model to choose, with its first token, between a short answer and thinking.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = _command(commands, "run", "run the pipeline; relaunching resumes, a second identical run does no work")
    run.add_argument("--profile", default="tiny", help="shipped profile or path of a TOML file (default: tiny)")
    run.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
                     help="override one key, for example rl.gamma=0.3; may be repeated")  # fmt: skip
    run.add_argument("--data", metavar="DIR", help=DATA_HELP)
    run.add_argument("--limit", type=int, metavar="N",
                     help="evaluate on the first N problems of each benchmark, for a quick look")  # fmt: skip
    run.add_argument("--until", metavar="STAGE", help="stop after this stage")
    run.add_argument("--only", metavar="STAGE", help="build only this stage, from what the store holds")
    run.add_argument("--refresh", action="extend", nargs="+", default=[], metavar="STAGE",
                     help="rebuild these stages even if the store has them")  # fmt: skip
    run.add_argument("--keep", action="extend", nargs="+", default=[], metavar="STAGE",
                     help="take the newest artifact of these stages although their sources changed")  # fmt: skip
    run.add_argument("--same-versions", action="store_true",
                     help="rebuild what other versions of torch, transformers, vllm or math-verify made")  # fmt: skip
    run.add_argument("--dry-run", action="store_true", help="print which stages would be built, and why; build nothing")
    run.add_argument("--no-prefect", action="store_true", help="build in this process, without a Prefect server")
    run.add_argument("--verbose", action="store_true", help="show Prefect's own log as well")

    why = _command(commands, "why", "why a stage would be built: what differs from the nearest artifact in the store")
    why.add_argument("stage", metavar="STAGE", help="base, problems, teach, pairs, sft, rl, evaluate or report")
    why.add_argument("--profile", default="tiny")
    why.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    why.add_argument("--data", metavar="DIR", help=DATA_HELP)

    _add_study(commands)

    sql = _command(commands, "sql", "read-only SQL over every data set, run, metric and edge")
    sql.add_argument("query", help="one select statement")
    sql.add_argument("--format", choices=("table", "json", "csv", "parquet"), default="table")
    sql.add_argument("--output", metavar="FILE", help="write to this file instead of the screen")

    lineage = _command(commands, "lineage", "what an artifact was made from, and what was made from it")
    lineage.add_argument("ref", help="artifact key or its beginning, stage/key, a stage name, or a completion id")

    catalog = _command(commands, "catalog", "rebuild the DuckDB catalog, or verify the artifacts")
    catalog.add_argument("action", choices=("rebuild", "verify"),
                         help="rebuild it from manifests and Parquet files; verify: read every artifact")  # fmt: skip

    doctor = _command(commands, "doctor", "check what would stop a run, before it starts")
    doctor.add_argument("--profile", default="tiny")
    doctor.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides")
    doctor.add_argument("--data", metavar="DIR", help=DATA_HELP)

    _add_grade(commands)
    _add_model_commands(commands)
    return parser


def _add_study(commands: Commands) -> None:
    study = _command(commands, "study", "measure the paper's claims, or compare all objectives, over several seeds")
    study.add_argument("study", metavar="NAME", help="claims, compare, graded, or the path of a TOML file of your own")
    study.add_argument("--profile", help="(default: the study's own)")
    study.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
                       help="override one key in every member; may be repeated")  # fmt: skip
    study.add_argument("--seeds", type=int, default=5, metavar="N", help="seeds per condition (default: 5)")
    study.add_argument("--jobs", type=int, metavar="N", help="members to run at the same time (default: one per core)")
    study.add_argument("--only", metavar="CLAIM", help="run only what this claim needs")
    study.add_argument("--dry-run", action="store_true", help="print what would be run, and how long it takes")
    study.add_argument("--show", action="store_true", help="run nothing; show the results that are in the store")
    study.add_argument("--format", choices=("table", "markdown"), default="table")


def _add_grade(commands: Commands) -> None:
    grade = _command(commands, "grade", "judge given answers, or check that a data set's references can be met")
    grade.add_argument("data_set", metavar="FILE|NAME",
                       help="a file whose rows hold a reference and a given answer or completion, which are judged; "
                       "or a file or well-known data set (math500, gsm8k...) of references alone: each is then "
                       "judged against itself in other spellings, and with a digit changed")  # fmt: skip
    grade.add_argument("--reference", metavar="FIELD", help="field with the reference (default: reference or answer)")
    grade.add_argument("--given", metavar="FIELD", help="field with the given answer (default: given or completion)")
    grade.add_argument("--answer-format", choices=("auto", "plain", "mark", "boxed"), default="auto",
                       help="how the reference field holds the value: all, after ####, or in a box")  # fmt: skip
    grade.add_argument("--data", metavar="DIR", dest="folder", help="read a well-known data set's copy in this folder")
    grade.add_argument("--split", help="split of a well-known data set (default: its own)")
    grade.add_argument("--show", type=int, default=20, metavar="N", help="list at most N answers (default: 20)")
    grade.add_argument("--output", metavar="FILE", help="write every verdict there, as JSON lines")


def _add_model_commands(commands: Commands) -> None:
    ask = _command(commands, "ask", "answer a question with the newest model")
    ask.add_argument("question")
    ask.add_argument("--mode", choices=("auto", "short", "think"), default="auto")
    ask.add_argument("--think-bias", type=float, default=0.0, metavar="X",
                     help="added to the think logit at token 0: above 0 thinks more, below 0 less")  # fmt: skip
    ask.add_argument("--temperature", type=float, default=0.6)
    ask.add_argument("--max-new-tokens", type=int, default=128)
    ask.add_argument("--seed", type=int, default=0)

    export = _command(commands, "export", "a trained model as a folder to load, serve and publish, with cards and data")
    export.add_argument("folder", metavar="DIR", help="a new or empty folder")
    export.add_argument("--model", choices=("rl", "sft"), default="rl", help="the policy, or the warm-up alone")
    export.add_argument("--run", metavar="RUN", help="run id (default: the newest run that has the model)")

    report = _command(commands, "report", "path of the newest HTML report, or of one run's")
    report.add_argument("run", nargs="?", help="run id (default: the newest run that has one)")
    report.add_argument("--open", action="store_true", dest="open_browser", help="open it in a browser")
    report.add_argument("--pictures", type=Path, metavar="FOLDER", help="write its pictures there too, as SVG files")


def _command(commands: Commands, name: str, summary: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (0: success, 2: an error that the user can correct, 130: interrupted)."""
    # Progress bars of other libraries (downloads, data sets, validation) would overwrite this program's own lines.
    os.environ.setdefault("TQDM_DISABLE", "1")
    # torch takes large tensors of the CPU in large pages: new ones are filled with zeros page by page.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    arguments = build_parser().parse_args(argv)
    _show_own_log()
    command = importlib.import_module(f"flows.commands.{arguments.command}")
    from schemas.errors import ThinklessError

    try:
        if getattr(arguments, "data", None) is not None:
            from flows.local_copies import local_copy_overrides

            arguments.overrides += local_copy_overrides(
                arguments.profile, overrides=arguments.overrides, folder=Path(arguments.data)
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


def _show_own_log() -> None:
    """Send this project's log, and no other library's, to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", datefmt="%H:%M:%S"))
    own = logging.getLogger("thinkless")
    own.setLevel(logging.INFO)
    own.handlers = [handler]
    own.propagate = False


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
