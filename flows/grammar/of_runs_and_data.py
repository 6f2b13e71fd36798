"""The grammar of the commands that read, or share, what runs have left: runs, watch, compare, sql, lineage, catalog,
share, push, pull, remote."""

from __future__ import annotations

from pathlib import Path

from flows.grammar.added_command import RUN_HELP, Commands, add_command
from infra.store.shared_home import DEFAULT_LOCAL


def add_run_commands(commands: Commands) -> None:
    """runs, watch, compare."""
    runs = add_command(
        commands,
        "runs",
        "all runs, newest last; or one run: what was set for it, its stages and its results",
        "thinkless runs",
        "thinkless runs --format json",
        "thinkless runs show",
        "thinkless runs show 20260102-0304",
    )
    runs.add_argument("action", nargs="?", choices=("list", "show"), default="list", help="(default: list)")
    runs.add_argument("run", nargs="?", metavar="RUN", help=f"for show: {RUN_HELP}")
    runs.add_argument("--format", choices=("table", "json", "csv"), default="table", help="of the list")

    watch = add_command(
        commands,
        "watch",
        "the curves of a running or finished run: loss, think share, P(think), accuracy, tokens, time left",
        "thinkless watch",
        "thinkless watch 20260102-0304 --once",
    )
    watch.add_argument("run", nargs="?", metavar="RUN", help="run id or its beginning (default: the newest that is "
                       "running, else the newest finished run that is no member of a study)")  # fmt: skip
    watch.add_argument("--once", action="store_true", help="print one picture and leave; so does a pipe")

    compare = add_command(
        commands,
        "compare",
        "what differs between two runs: configuration, accuracy, tokens and think share, with 95% intervals",
        "thinkless compare 20260102-0304 20260102-0506",
        "thinkless compare 20260102-0304 20260102-0506 --format csv",
    )
    compare.add_argument("first", metavar="RUN", help="run id or its beginning")
    compare.add_argument("second", metavar="RUN", help="run id or its beginning; differences are second less first")
    compare.add_argument("--format", choices=("table", "json", "csv"), default="table", help="of the results")


def add_data_commands(commands: Commands) -> None:
    """sql, lineage, catalog."""
    sql = add_command(
        commands,
        "sql",
        "read-only SQL over every data set, run, metric and edge",
        "thinkless sql",
        'thinkless sql "show tables"',
        'thinkless sql "select benchmark, model, mode, accuracy, mean_tokens from eval_summary order by all"',
        'thinkless sql "from pairs" --output pairs.parquet',
        "thinkless sql --file query.sql",
        'echo "select count(*) from rollouts" | thinkless sql -',
    )
    sql.add_argument("query", nargs="?", metavar="QUERY", help="one reading statement; - reads it from standard input "
                     "(default: a prompt, if this is a terminal)")  # fmt: skip
    sql.add_argument("--file", type=Path, metavar="FILE", help="read the statement from this file")
    sql.add_argument("--format", choices=("table", "json", "csv", "parquet"),
                     help="(default: what the name of --output ends in, else table)")  # fmt: skip
    sql.add_argument("--output", type=Path, metavar="FILE",
                     help="write to this file instead of the screen: .parquet, .csv, .json or text")  # fmt: skip

    lineage = add_command(
        commands,
        "lineage",
        "what an artifact was made from, and what was made from it; or the path of one row through the stages",
        "thinkless lineage rl",
        "thinkless lineage 3f2a",
        "thinkless lineage RUN_ID",
        "thinkless lineage PROBLEM_ID",
        "thinkless lineage COMPLETION_ID",
    )
    lineage.add_argument("ref", metavar="REF", help="an artifact's key or its beginning, stage/key, a stage's name, or "
                         "the id of a run, problem, completion or rollout")  # fmt: skip

    catalog = add_command(
        commands,
        "catalog",
        "rebuild the DuckDB catalog, or verify the artifacts",
        "thinkless catalog verify",
        "thinkless catalog rebuild",
    )
    catalog.add_argument("action", choices=("rebuild", "verify"),
                         help="rebuild it from manifests and Parquet files; verify: read every artifact")  # fmt: skip


def add_remote_commands(commands: Commands) -> None:
    """share, push, pull, remote."""
    share = add_command(
        commands,
        "share",
        "say that several machines use this home, on a disk that all of them see",
        "thinkless share",
        "thinkless share --local /scratch/thinkless",
    )
    share.add_argument("--local", type=Path, default=Path(DEFAULT_LOCAL), metavar="DIR",
                       help="folder on each machine's own disk, the same path on all, for the catalog "
                       f"(default: {DEFAULT_LOCAL})")  # fmt: skip

    push = add_command(
        commands,
        "push",
        "upload a run and its artifacts to the remote that THINKLESS_REMOTE names",
        "THINKLESS_REMOTE=s3://bucket/prefix thinkless push",
        "thinkless push 20260102-0304",
    )
    push.add_argument("run", nargs="?", metavar="RUN", help=RUN_HELP)

    pull = add_command(
        commands,
        "pull",
        "download a run and its artifacts from the remote; every byte is checked",
        "THINKLESS_REMOTE=s3://bucket/prefix thinkless pull",
        "thinkless pull 20260102-0304 --stage report evaluate",
    )
    pull.add_argument("run", nargs="?", metavar="RUN", help="run id in the remote, or its beginning (default: the "
                      "newest finished run there that is no member of a study)")  # fmt: skip
    pull.add_argument("--stage", action="extend", nargs="+", default=[], metavar="STAGE",
                      help="only the artifacts of these stages (default: all)")  # fmt: skip

    remote = add_command(
        commands,
        "remote",
        "what the remote holds, and what is only here or only there",
        "thinkless remote status",
    )
    remote.add_argument("action", choices=("status",), help="all runs of both sides, and artifacts that differ")
