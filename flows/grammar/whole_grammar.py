"""The grammar of the `thinkless` command: every command with its options, their help, and examples."""

from __future__ import annotations

import argparse
from importlib import metadata
from pathlib import Path

from flows.grammar.added_command import RUN_HELP, Commands, add_command
from flows.grammar.of_runs_and_data import add_data_commands, add_remote_commands, add_run_commands

SUMMARY = "Teach a language model to choose, with its first token, between a short answer and thinking."
EXAMPLES = """examples:
  thinkless init my.toml                                a profile for your own model and data
  thinkless run --profile tiny                          the whole pipeline, minutes on a CPU
  thinkless run --profile tiny --set rl.gamma=0.3       the same, with one thing changed
  thinkless run --profile tiny --refresh rl             rerun one stage and what depends on it
  thinkless run --dry-run --set rl.gamma=0.3            what would be built, and why; builds nothing
  thinkless why rl                                      a hit, or what differs from the nearest artifact
  thinkless watch                                       the curves of the run that is running
  thinkless runs                                        every run; thinkless runs show ID: one of them
  thinkless compare ID ID                               what differs between two runs, with intervals
  thinkless study claims                                the paper's claims, measured over 5 seeds
  thinkless sql "select * from eval_summary"            ask the data
  thinkless grade answers.jsonl                         judge given answers against their references
  thinkless lineage rl                                  what the newest policy was made from
  thinkless ask "37+48=?"                               ask the newest model
  thinkless export my-model                             the newest model as a folder, with cards and data
  thinkless pull                                        the newest run of the remote, built on another machine
"""


def build_parser() -> argparse.ArgumentParser:
    """The whole grammar."""
    parser = argparse.ArgumentParser(
        prog="thinkless",
        description=f"{SUMMARY}\n\n{EXAMPLES}",
        epilog="thinkless COMMAND --help has the options of a command, and more examples.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and leave")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_why(commands)
    _add_init(commands)
    _add_doctor(commands)
    add_run_commands(commands)
    _add_study(commands)
    add_data_commands(commands)
    add_remote_commands(commands)
    _add_grade(commands)
    _add_model_commands(commands)
    return parser


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"thinkless-flows {metadata.version('thinkless-flows')}")
        parser.exit()


def _add_run(commands: Commands) -> None:
    run = add_command(
        commands,
        "run",
        "run the pipeline; relaunching resumes, a second identical run does no work",
        "thinkless run --profile tiny",
        "thinkless run --profile tiny --set rl.gamma=0.3 --set seed=1",
        "thinkless run --profile smollm2 --until sft",
        "thinkless run --profile my.toml --data ~/data --limit 50",
        "thinkless run --keep sft --dry-run",
    )
    _add_configuration(run)
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
    run.add_argument("--member-of", metavar="STUDY", help="record the run as a member of this study; studies set it")
    run.add_argument("--verbose", action="store_true", help="show Prefect's own log as well")


def _add_why(commands: Commands) -> None:
    why = add_command(
        commands,
        "why",
        "why a stage would be built: what differs from the nearest artifact in the store",
        "thinkless why rl",
        "thinkless why evaluate --profile smollm2 --set rl.gamma=0.3",
    )
    why.add_argument("stage", metavar="STAGE", help="base, problems, teach, pairs, sft, rl, evaluate or report")
    _add_configuration(why)


def _add_init(commands: Commands) -> None:
    init = add_command(
        commands,
        "init",
        "write a commented profile for your own model and data; asks five questions, or takes their answers as flags",
        "thinkless init my.toml",
        "thinkless init my.toml --model ./my-model --problems train.jsonl --long-answers self --machine gpu "
        "--benchmark held_out.jsonl",
        'thinkless init my.toml --long-answers "http://localhost:8000/v1 MODEL"',
    )
    init.add_argument("file", nargs="?", type=Path, default=Path("my.toml"), metavar="FILE",
                      help="a new TOML file (default: my.toml)")  # fmt: skip
    init.add_argument("--model", metavar="MODEL", help="what learns: a folder, a name on the Hub, or package:NAME")
    init.add_argument("--problems", metavar="DATA", help="what it learns on: a file, a data set (gsm8k, owner/name) or "
                      "gym:graded")  # fmt: skip
    init.add_argument("--long-answers", metavar="WHO", help="self, gym, a recording, a data set, or 'URL MODEL'")
    init.add_argument("--machine", choices=("cpu", "cpu-hours", "gpu"), help="what it runs on; cpu: within an hour")
    init.add_argument("--benchmark", metavar="DATA", help="held-out problems, given as --problems is")


def _add_doctor(commands: Commands) -> None:
    doctor = add_command(
        commands,
        "doctor",
        "check what would stop a run, before it starts",
        "thinkless doctor --profile tiny",
        "thinkless doctor --profile paper --data ~/data",
        "sbatch --nodes=2 --wrap 'thinkless doctor --cluster'",
    )
    _add_configuration(doctor)
    doctor.add_argument("--cluster", action="store_true", help="instead: whether the machines of this allocation of "
                        "Slurm agree in versions, code, clocks and names, and may share the home")  # fmt: skip


def _add_configuration(command: argparse.ArgumentParser) -> None:
    """The options that name a configuration."""
    command.add_argument("--profile", default="tiny", help="shipped profile or path of a TOML file (default: tiny)")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
                         help="override one key, for example rl.gamma=0.3; may be repeated")  # fmt: skip
    command.add_argument("--data", metavar="DIR", help="read well-known data sets from their copies in this folder "
                         "(gsm8k_train.jsonl, math500.json...)")  # fmt: skip


def _add_study(commands: Commands) -> None:
    study = add_command(
        commands,
        "study",
        "measure the paper's claims, or compare all objectives, over several seeds",
        "thinkless study claims",
        "thinkless study compare --dry-run",
        "thinkless study graded --seeds 3 --show",
        "thinkless study claims --set rl.gamma=0.3 --format markdown",
    )
    study.add_argument("study", metavar="NAME", help="claims, compare, graded, or the path of a TOML file of your own")
    study.add_argument("--profile", help="(default: the study's own)")
    study.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
                       help="override one key in every member; may be repeated")  # fmt: skip
    study.add_argument("--seeds", type=int, default=5, metavar="N", help="seeds per condition (default: 5)")
    study.add_argument("--jobs", type=int, metavar="N", help="members to run at the same time (default: one per core)")
    study.add_argument("--only", metavar="CLAIM", help="run only what this claim needs")
    study.add_argument("--dry-run", action="store_true", help="print what would be run, and how long it takes")
    study.add_argument("--show", action="store_true", help="run nothing; show the results that are in the store")
    study.add_argument("--format", choices=("table", "markdown"), default="table", help="(default: table)")


def _add_grade(commands: Commands) -> None:
    grade = add_command(
        commands,
        "grade",
        "judge given answers, or check that a data set's references can be met",
        "thinkless grade answers.jsonl",
        "thinkless grade answers.jsonl --reference solution --given reply --output verdicts.jsonl",
        "thinkless grade math500 --data ~/data",
    )
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
    ask = add_command(
        commands,
        "ask",
        "answer a question with a trained model",
        'thinkless ask "37+48=?"',
        'thinkless ask "37+48=?" --mode think',
        'thinkless ask "37+48=?" --think-bias -2 --run 20260102-0304 --model sft',
    )
    ask.add_argument("question", metavar="QUESTION", help="as the model was taught to read questions")
    ask.add_argument("--mode", choices=("auto", "short", "think"), default="auto",
                     help="auto lets the model choose; the others force it (default: auto)")  # fmt: skip
    ask.add_argument("--think-bias", type=float, default=0.0, metavar="X",
                     help="added to the think logit at token 0: above 0 thinks more, below 0 less")  # fmt: skip
    ask.add_argument("--temperature", type=float, default=0.6, metavar="T", help="of sampling (default: 0.6)")
    ask.add_argument("--max-new-tokens", type=int, default=128, metavar="N", help="longest answer (default: 128)")
    ask.add_argument("--seed", type=int, default=0, metavar="N", help="of the random numbers (default: 0)")
    _add_choice_of_model(ask)

    export = add_command(
        commands,
        "export",
        "a trained model as a folder to load, serve and publish, with cards and data",
        "thinkless export my-model",
        "thinkless export my-warm-up --model sft --run 20260102-0304",
        "thinkless export for-trl --for trl",
    )
    export.add_argument("folder", metavar="DIR", help="a new or empty folder")
    export.add_argument("--for", dest="framework", choices=("trl", "verl"),
                        help="the warm-up, problems, reward and loss for this framework to train on")  # fmt: skip
    _add_choice_of_model(export, default=None)

    taken = add_command(
        commands,
        "import",
        "take a policy that another framework trained back into the store; evaluate and report it",
        "thinkless import for-trl",
        "thinkless import for-trl --until rl",
    )
    taken.add_argument("folder", metavar="DIR", help="what `thinkless export DIR --for` wrote, with trained/ in it")
    taken.add_argument("--until", choices=("rl", "evaluate", "report"), help="stop after this stage")

    report = add_command(
        commands,
        "report",
        "path of the newest HTML report, or of one run's",
        "thinkless report --open",
        "thinkless report 20260102-0304 --pictures figures",
    )
    report.add_argument("run", nargs="?", metavar="RUN", help=f"{RUN_HELP}; a run that is not finished has one, too")
    report.add_argument("--open", action="store_true", dest="open_browser", help="open it in a browser")
    report.add_argument("--pictures", type=Path, metavar="FOLDER", help="write its pictures there too, as SVG files")


def _add_choice_of_model(command: argparse.ArgumentParser, *, default: str | None = "rl") -> None:
    command.add_argument("--model", choices=("rl", "sft"), default=default,
                         help="the policy, or the warm-up alone (default: rl)")  # fmt: skip
    command.add_argument("--run", metavar="RUN", help=RUN_HELP)
