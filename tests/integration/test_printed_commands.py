"""Every command that README and docs print is executed, as a user would: in a folder with a finished small run.

pages in order -> commands not printed before -> `bash -c`, in one folder -> exit code, and output that a page shows
A command that cannot be executed stands in NOT_EXECUTED, with the reason; every other one is.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.runs import list_runs
from tests.closed_address import closed_address
from tests.integration.conftest import BuiltHome
from tests.integration.driver import SMALL
from tests.integration.pages import CODE, PAGES, PROGRAMS, blocks, lines_of_commands, printed_commands, program_of
from tests.integration.processes import ROOT, environment

LOGS = {"experiments.md", "benchmarks.md"}
"""Commands in these are what was measured at the time."""
COMMANDS = {page.name: printed_commands(page) for page in PAGES if page.name not in LOGS}

A_MAKE_TARGET = "an environment of its own, and minutes or hours; `make -n` reads its steps"
HOURS = "hours; `--dry-run` lists its runs"
A_SERVER = "a Prefect server and a worker that stay; test_prefect.py runs the flows on one"
A_HUB = "the Hub and a token; test_publishing.py runs the uploads against a Hub on this machine"
A_REMOTE = "a remote; tests/remote runs push, pull and status against an S3 server"
TRL = "TRL, which is in the tests' environment alone; test_exchange.py trains with it, and imports"
A_CLUSTER = "several machines; tests/cluster runs the like on two nodes of Slurm"
A_FILE_OF_THE_PAGE = "the file that stands above it on the page; test_extending.py runs each"
NOT_EXECUTED = {
    ". .venv/bin/activate": "the tests' own environment takes its place",
    "make demo": A_MAKE_TARGET,
    "make smollm2": A_MAKE_TARGET,
    "make gpu": A_MAKE_TARGET,
    "make test": A_MAKE_TARGET,
    "make test-all": A_MAKE_TARGET,
    "make test-models": A_MAKE_TARGET,
    "make test-vllm": A_MAKE_TARGET,
    "THINKLESS_REMOTE=s3://bucket/prefix thinkless run": A_REMOTE,
    "thinkless push": A_REMOTE,
    "thinkless pull": A_REMOTE,
    "thinkless pull --stage report evaluate": A_REMOTE,
    "thinkless remote status": A_REMOTE,
    "accelerate launch for-trl/train.py": TRL,
    "thinkless import for-trl": TRL,
    "thinkless study claims": HOURS,
    "thinkless study graded --seeds 3": HOURS,
    "thinkless sql": "a terminal; test_sql_prompt.py gives it one",
    "thinkless run --profile my.toml --until problems": A_FILE_OF_THE_PAGE,
    "thinkless run --profile my.toml --until pairs": A_FILE_OF_THE_PAGE,
    "thinkless run --profile my.toml --until teach": A_FILE_OF_THE_PAGE,
    "thinkless run --profile my.toml --until rl": A_FILE_OF_THE_PAGE,
    "thinkless run --profile my.toml --until count_levels": A_FILE_OF_THE_PAGE,
    'thinkless sql "select * from reward_by_level where step = 1 order by difficulty"': A_FILE_OF_THE_PAGE,
    "python -m tests.gpu prepare FOLDER": "SmolLM2's wheel; tests/gpu runs both halves with two steps",
    "python -m tests.gpu run FOLDER --out DIR": "a GPU; tests/gpu runs both halves with two steps",
    "pip install 'thinkless-flows[gym]'": "a package index",
    "pip install vllm": "a package index, and a GPU",
    "THINKLESS_TRACKERS=trackio,wandb thinkless run": "two extras, and an account; test_trackers.py writes to both",
    "prefect server start": A_SERVER,
    "prefect config set PREFECT_API_URL=http://127.0.0.1:4200/api": A_SERVER,
    "prefect work-pool create thinkless --type process": A_SERVER,
    "prefect --no-prompt deploy --all": A_SERVER,
    "prefect worker start --pool thinkless": A_SERVER,
    "prefect deployment run thinkless/full --watch": A_SERVER,
    "prefect deployment run thinkless/full -p profile=smollm2 -p objective=hgpo -p limit=50": A_SERVER,
    'prefect deployment run thinkless/full -p profile=my.toml -p \'overrides=["rl.gamma=0.3", "seed=1"]\'': A_SERVER,
    "prefect block ls": A_SERVER,
    "prefect automation create --from-file flows/prefect/automations.yaml": A_SERVER,
    "prefect deployment run thinkless/rl -p 'refresh=[\"rl\"]' --watch": A_SERVER,
    "prefect deployment run thinkless-study/claims --watch": A_SERVER,
    'hf upload NAME/my-model my-model --exclude "dataset/*" --private': A_HUB,
    "hf upload NAME/my-pairs my-model/dataset --repo-type dataset --private": A_HUB,
    "hf auth login": A_HUB,
    "make test-cluster": A_MAKE_TARGET,
    "export THINKLESS_HOME=/team/thinkless": A_CLUSTER,
    "thinkless share": A_CLUSTER,
    "sbatch --nodes=2 --wrap 'thinkless doctor --cluster'": A_CLUSTER,
    "sbatch --nodes=2 --gres=gpu:4 --exclusive --wrap 'thinkless run --profile paper --set rl.launch.machines=2'": (
        A_CLUSTER
    ),
    "prefect server start --host 0.0.0.0": A_CLUSTER,
    "export PREFECT_API_URL=http://THAT_MACHINE:4200/api": A_CLUSTER,
    "prefect work-pool create cpu --type process": A_CLUSTER,
    "prefect work-pool create gpu --type process": A_CLUSTER,
    "prefect work-pool create train --type process": A_CLUSTER,
    "prefect --no-prompt deploy --prefect-file prefect.cluster.yaml --all": A_CLUSTER,
    "prefect automation create --from-file flows/prefect/automations.cluster.yaml": A_CLUSTER,
    "prefect worker start --pool cpu": A_CLUSTER,
    "prefect deployment run thinkless/full -p profile=tiny --watch": A_CLUSTER,
    'export THINKLESS_SBATCH_GPU="--partition=gpu --gres=gpu:1 --time=12:00:00"': A_CLUSTER,
    'export THINKLESS_SBATCH_TRAIN="--partition=gpu --gres=gpu:4 --nodes=2 --exclusive --time=24:00:00"': A_CLUSTER,
    "sudo apt-get install postgresql postgresql-contrib": A_CLUSTER,
    "sudo -u postgres createuser --pwprompt prefect": A_CLUSTER,
    "sudo -u postgres createdb --owner prefect prefect": A_CLUSTER,
    'sudo -u postgres psql -d prefect -c "create extension if not exists pg_trgm"': A_CLUSTER,
    "export PREFECT_API_DATABASE_CONNECTION_URL=postgresql+asyncpg://prefect:CHOOSE@localhost/prefect": A_CLUSTER,
    "thinkless doctor --cluster": A_CLUSTER,
    "pip install '.[vllm,remote]' --constraint constraints.txt": A_CLUSTER,
    "prefect worker start --pool gpu --type kubernetes": A_CLUSTER,
}
"""Command -> what it needs that a test does not have."""

EXIT_CODES = {"thinkless doctor --profile paper": {2}}
"""Of commands that may find something missing on this machine; 0 of every other one."""

SHOWN = {
    "thinkless run --profile my.toml --set rl.gamma=0.3": ("README.md", "tiny-easy: rl auto"),
    "thinkless doctor --profile paper": ("profiles.md", "  P parameters, T trained ones"),
}
"""Command -> page that shows what it prints, and how the line begins; numbers may differ."""


def first_printed() -> dict[str, list[str]]:
    """Page -> its commands that no page before it has, without those that are not executed."""
    known = set(NOT_EXECUTED)
    new: dict[str, list[str]] = {}
    for page, commands in COMMANDS.items():
        new[page] = [command for command in commands if command not in known]
        known |= set(commands)
    return {page: commands for page, commands in new.items() if commands}


def test_every_block_is_known_for_what_it_is_and_every_line_of_commands_begins_with_a_known_program() -> None:
    for page in PAGES:
        languages = {language for language, _ in CODE.findall(page.read_text(encoding="utf-8"))}
        assert languages <= {"", "bash", "python", "toml", "sql"}, page.name
        foreign = [line for line in lines_of_commands(page) if program_of(line) not in PROGRAMS]
        assert foreign == [], f"{page.name}: execute them, or list them in NOT_EXECUTED"


def test_what_is_not_executed_is_printed_somewhere() -> None:
    printed = {command for commands in COMMANDS.values() for command in commands}
    assert set(NOT_EXECUTED) - printed == set()
    assert (set(EXIT_CODES) | set(SHOWN)) - printed == set()


def test_both_readmes_print_the_same_commands_and_the_same_python() -> None:
    english, chinese = ROOT / "README.md", ROOT / "README.zh.md"
    assert list(lines_of_commands(chinese)) == list(lines_of_commands(english))
    assert blocks(chinese, "python") == blocks(english, "python")


@pytest.fixture(scope="module")
def folder(built: BuiltHome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages suppose: a store with a finished run, a profile, answers and a data set of the user's own."""
    place = tmp_path_factory.mktemp("user")
    shutil.copytree(built.path, place / ".thinkless")
    shutil.copy(ROOT / "schemas" / "profiles" / "tiny.toml", place / "my.toml")
    of_math = {"difficulty": 1, "unique_id": "test/algebra/1"}
    rows = [{"problem": f"What is {n} + {n + 1}?", "answer": str(2 * n + 1)} | of_math for n in range(20)]
    (place / "data").mkdir()
    (place / "docs").mkdir()
    (place / "data" / "math500.json").write_text(json.dumps(rows), encoding="utf-8")
    for name, of_row in (("train", {}), ("answers", {"given": "7"})):
        lines = [json.dumps(row | of_row) for row in rows]
        (place / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return place


def as_executed(command: str, folder: Path) -> str:
    """The command with files and runs for its places, and what makes it small or harmless."""
    whole = [run for run in list_runs(folder / ".thinkless") if any(use.stage == "report" for use in run.stages)]
    runs = iter([run.run_id for run in whole][-2:])
    files = {"FILE": "answers.jsonl", "FOLDER": "data", "STAGE": "rl", "TABLE": "pairs"}
    command = re.sub(r"\b(FILE|FOLDER|STAGE|TABLE)\b", lambda place: files[place[0]], command)
    command = re.sub(r"\bID\b", lambda _: next(runs), command)
    small = SMALL if re.search(r"thinkless (run|why)\b", command) else ()
    command = " ".join([command, *(f"--set {override}" for override in small)])
    if command == "thinkless init my.toml":
        flags = "--model owner/model --problems train.jsonl --long-answers self --machine cpu --benchmark gsm8k"
        return f"mkdir new && cd new && cp ../train.jsonl . && {command} {flags}"
    return command


def execute(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What a shell in the user's folder makes of it; there is no Hub, and `true` is the browser."""
    own = {"HF_HOME": str(folder / "hf"), "PREFECT_HOME": str(folder / "prefect")}
    own["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "600"  # beside other tests the first start is slow
    env = environment(folder, HF_ENDPOINT=closed_address(), BROWSER="true", **own)
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    del env["THINKLESS_HOME"]  # the store is .thinkless in the folder
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )


def shape(line: str) -> str:
    """A line of output without its numbers."""
    return re.sub(r"[+-]?\d+(\.\d+)?", "0", line)


@pytest.mark.slow
@pytest.mark.parametrize("page", first_printed())
def test_the_commands_of_a_page_do_what_it_says(page: str, folder: Path) -> None:
    failed = []
    for command in first_printed()[page]:
        done = execute(as_executed(command, folder), folder)
        if done.returncode not in EXIT_CODES.get(command, {0}):
            failed.append(f"{command}: exit code {done.returncode}\n{done.stdout[-1000:]}\n{done.stderr[-1000:]}")
        elif command in SHOWN:
            shown, begin = SHOWN[command]
            text = next(page for page in PAGES if page.name == shown).read_text(encoding="utf-8")
            line = next(line for line in text.splitlines() if line.startswith(begin))
            assert shape(line) in map(shape, done.stdout.splitlines()), done.stdout
    assert failed == [], "\n".join(failed)


@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c, reason in NOT_EXECUTED.items() if reason in (A_MAKE_TARGET, HOURS)])
def test_what_takes_long_is_planned_without_an_error(command: str, folder: Path) -> None:
    planned = command.replace("make ", f"make -n -C {ROOT} ") if command.startswith("make") else f"{command} --dry-run"
    done = execute(planned, folder)
    assert done.returncode == 0, done.stderr
