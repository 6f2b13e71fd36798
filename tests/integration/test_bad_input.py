"""Whatever the user gets wrong: one clear sentence, exit code 2, nothing published, nothing lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.store.manifest_file import decode_manifest, encode_manifest
from schemas.artifact import MANIFEST_VERSION
from schemas.errors import StoreError
from tests.fast_and_slow import fast_and_slow
from tests.integration.conftest import BuiltHome
from tests.integration.driver import command, run_pipeline
from tests.integration.processes import ROOT, Said, environment

Thinkless = Callable[..., Said]

WRONG_RUNS = [
    (["--profile", "tinny"], "unknown profile 'tinny'; did you mean 'tiny'?"),
    (["--profile", "absent.toml"], "profile file absent.toml: No such file or directory"),
    (["--set", "rl.gama=0.3"], "unknown key 'rl.gama' (got value 0.3); did you mean 'rl.gamma'?"),
    (["--set", "reinforce.gamma=0.3"], "unknown key 'reinforce'"),
    (["--set", "rl.gamma"], "override 'rl.gamma' is not of the form key=value"),
    (["--set", "rl.steps=many"], "rl.steps: Input should be a valid integer"),
    (["--set", "rl.steps=1.5"], "rl.steps: Input should be a valid integer"),
    (["--set", "base.model.kind=pretraind"], "base.model: unknown kind 'pretraind'; did you mean 'pretrained'?"),
    (["--set", "rl=3"], "rl: Input should be a valid dictionary"),
    (["--set", "rl.lora={rank: 8}"], "texts in them in quotes, as in --set 'rl.lora={"),
    (["--set", "evaluate.benchmarks=[test]"], "texts in them in quotes, as in --set 'evaluate.benchmarks=["),
    (["--set", "problems.rl_source={kind=gym}"], "texts in them in quotes, as in --set 'problems.rl_source={"),
    (["--set", "rl.group_size=1"], "rl.group_size: Input should be greater than or equal to 2, got 1"),
    (
        ["--set", "rl.objective.alpha=0"],
        "rl.objective.alpha: should be greater than 0 and less than",
    ),
    (
        ["--set", "rl.objective.alpha=-1"],
        "than or equal to 10, got -1",
    ),
    (["--set", "rl.objective.alpha=nan"], "rl.objective.alpha: "),
    (["--set", "rl.gamma=0"], "rl.gamma: should be greater than 0 and less than 1, got 0"),
    (["--set", "rl.gamma=1"], "rl.gamma: should be greater than 0 and less than 1, got 1"),
    (["--set", "rl.clip_low=0"], "rl.clip_low: Input should be greater than 0, got 0"),
    (["--set", "rl.clip_high=-0.2"], "rl.clip_high: Input should be greater than 0, got -0.2"),
    (["--set", "rl.clip_high=inf"], "rl.clip_high: "),
    (["--set", "rl.objective=paper2"], "rl.objective: unknown name 'paper2'; did you mean"),
    (["--set", "rl.objective=grpo", "--set", "rl.objective.alpha=0.3"], "'rl.objective.alpha' does not belong"),
    (["--set", "rl.alpha=0.3"], "key 'rl.alpha' (got value 0.3) is now rl.objective.alpha"),
    (["--set", "problems.source.mix=[0.5, 0.1]"], "problems.source.mix: "),
    (["--set", "problems.source.kind=locl"], "problems.source: "),
    (["--set", "seed=-1"], "seed: Input should be greater than or equal to 0, got -1"),
    (
        ["--set", 'sft.launch={processes=2, accelerate_config="fsdp"}'],
        "launch.accelerate_config: 'fsdp' is neither a file nor shipped; did you mean 'fsdp2'?",
    ),
    (["--until", "rll"], "--until: unknown stage 'rll'; did you mean 'rl'?"),
    (["--only", "training"], "--only: unknown stage 'training'"),
    (["--refresh", "sft", "evalute"], "--refresh: unknown stage 'evalute'; did you mean 'evaluate'?"),
    (["--until", "sft", "--only", "rl"], "contradict each other"),
    (["--bogus"], "unrecognized arguments: --bogus"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG_RUNS, ids=[" ".join(a) for a, _ in WRONG_RUNS])
def test_a_run_that_cannot_be_is_refused_before_anything_starts(
    arguments: list[str], said: str, thinkless_here: Thinkless, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    answer = thinkless_here(home, "run", *arguments)
    assert answer.code == 2
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert not home.exists()


@pytest.mark.parametrize("content", [b"x = [", b"\xff\xfe", b"", b"[rl]\ngamma = 0.3\n"])
def test_a_profile_file_that_is_no_profile_is_refused(
    content: bytes, thinkless_here: Thinkless, tmp_path: Path
) -> None:
    profile = tmp_path / "mine.toml"
    profile.write_bytes(content)
    answer = thinkless_here(tmp_path / "home", "run", "--profile", str(profile))
    assert answer.code == 2
    assert str(profile) in answer.err
    assert "Traceback" not in answer.err


WRONG_SQL = [
    ("selec 1", "the SQL does not parse"),
    ("select * from pairz", 'Did you mean "pairs"'),
    ("select nothing from pairs", "nothing"),
    ("", "got 0 SQL statements, expected exactly one"),
    ("select 1; select 2", "got 2 SQL statements, expected exactly one"),
    ("drop table pairs", "DROP is refused"),
    ("insert into pairs select * from pairs", "INSERT is refused"),
    ("update runs set status = 'completed'", "UPDATE is refused"),
    ("create table t as select 1", "CREATE is refused"),
    ("copy pairs to 'stolen.csv'", "COPY is refused"),
    ("attach 'other.duckdb'", "ATTACH is refused"),
    ("select * from read_csv('pyproject.toml')", "files outside the catalog are out of reach"),
]


@pytest.mark.parametrize(("query", "said"), WRONG_SQL, ids=[query or "empty" for query, _ in WRONG_SQL])
def test_sql_that_writes_or_is_no_sql_is_refused(
    query: str, said: str, thinkless_here: Thinkless, built: BuiltHome
) -> None:
    before = (built.path / "catalog.duckdb").read_bytes()
    answer = thinkless_here(built.path, "sql", query)
    assert answer.code == 2
    assert said in answer.err
    assert "Traceback" not in answer.err
    assert (built.path / "catalog.duckdb").read_bytes() == before


WRONG_CALLS = [
    (["sql", "select 1", "--output", "absent/x.csv"], "--output absent/x.csv: No such file or directory"),
    (["sql", "select 1", "--format", "xml"], "invalid choice: 'xml'"),
    (["lineage", "nothing"], "nothing is known as 'nothing'"),
    (["report", "nothing"], "no run 'nothing'"),
    (["ask", ""], "the question is empty; ask something"),
    (["ask", " \n"], "the question is empty; ask something"),
    (["ask", "1+1=?", "--temperature", "0"], "--temperature is 0, expected a number above 0"),
    (["ask", "1+1=?", "--temperature", "nan"], "--temperature is nan"),
    (["ask", "1+1=?", "--max-new-tokens", "0"], "--max-new-tokens is 0, expected at least 1"),
    (["ask", "1+1=?", "--think-bias", "nan"], "--think-bias is nan"),
    (["ask", "1+1=?", "--mode", "long"], "invalid choice: 'long'"),
    (["doctor", "--set", "rl.gamma=3"], "rl.gamma: should be greater than 0 and less than 1, got 3"),
    (["catalog", "repair"], "invalid choice: 'repair'"),
    (["train"], "invalid choice: 'train'"),
    ([], "the following arguments are required: COMMAND"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG_CALLS, ids=[" ".join(a) or "none" for a, _ in WRONG_CALLS])
def test_every_command_refuses_what_it_cannot_do(
    arguments: list[str], said: str, thinkless_here: Thinkless, built: BuiltHome
) -> None:
    answer = thinkless_here(built.path, *arguments)
    assert answer.code == 2
    assert said in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("arguments", [["sql", "select 1"], ["lineage", "rl"], ["report"], ["ask", "1+1=?"]])
def test_before_the_first_run_every_reader_says_so(
    arguments: list[str], thinkless_here: Thinkless, tmp_path: Path
) -> None:
    home = tmp_path / "absent"
    answer = thinkless_here(home, *arguments)
    assert answer.code == 2
    assert str(home) in answer.err
    assert not home.exists(), "looking must not create a store"


def test_a_bad_environment_variable_is_named(thinkless: Thinkless, built: BuiltHome) -> None:
    answer = thinkless(built.path, "sql", "select 1", THINKLESS_LOCK_TIMEOUT_SECONDS="soon")
    assert answer.code == 2
    assert "THINKLESS_LOCK_TIMEOUT_SECONDS is 'soon'" in answer.err


@pytest.mark.parametrize("arguments", [["run"], ["doctor"], ["catalog", "rebuild"]])
def test_a_home_that_cannot_be_written_is_said_at_once(
    arguments: list[str], thinkless: Thinkless, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.write_text("a file", encoding="utf-8")
    answer = thinkless(home, *arguments)
    assert answer.code == 2
    assert f"cannot write {home}" in answer.out + answer.err
    assert "THINKLESS_HOME" in answer.out + answer.err
    assert "Traceback" not in answer.err


def test_a_home_without_permission_is_said_at_once(thinkless: Thinkless, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("needs an ordinary user: root may write anywhere")
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    answer = thinkless(home, "run")
    assert answer.code == 2
    assert f"cannot write {home}: permission denied" in answer.err


@pytest.mark.parametrize("size", fast_and_slow(["96k"], ["4k"]))
def test_a_full_disk_ends_the_run_and_publishes_nothing_of_the_stage_it_met(size: str, tmp_path: Path) -> None:
    """On a disk of its own: full before anything starts, and full in the middle of the second stage."""
    unshare = shutil.which("unshare")
    in_own_space = [unshare or "unshare", "--user", "--map-root-user", "--mount"]
    if unshare is None or subprocess.run([*in_own_space, "true"], capture_output=True).returncode:
        pytest.skip("needs unshare and user name spaces, to mount a small disk")
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    fill = f"head -c 4096 /dev/zero > {disk}/filler; " if size == "4k" else ""
    script = f'mount -t tmpfs -o size={size} tmpfs "{disk}" && {fill}"$@"; code=$?; cp -r "{disk}" "{kept}"; exit $code'
    finished = subprocess.run(
        [*in_own_space, "sh", "-c", script, "sh", sys.executable, *command(disk / "home", until="problems")],
        cwd=ROOT,
        env=environment(disk / "home"),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == 2, finished.stdout + finished.stderr
    assert "StoreError: cannot write" in finished.stderr
    assert "no space left on the device" in finished.stderr
    assert "free some space" in finished.stderr
    assert not list(kept.glob("home/artifacts/problems/*/manifest.json"))


@pytest.fixture
def newer_home(home: Path, built: BuiltHome) -> Path:
    """A home in which a newer version of the program has written the sft artifact."""
    artifact = built.run.artifacts["sft"]
    path = home / "artifacts" / "sft" / artifact.key / "manifest.json"
    manifest = decode_manifest(path.read_bytes(), where="here")
    path.write_bytes(encode_manifest(manifest.model_copy(update={"manifest_version": MANIFEST_VERSION + 1})))
    return home


def test_a_store_of_a_newer_version_is_refused_and_left_alone(newer_home: Path, built: BuiltHome) -> None:
    path = newer_home / "artifacts" / "sft" / built.run.artifacts["sft"].key / "manifest.json"
    before = path.read_bytes()
    with pytest.raises(
        StoreError, match=r"manifest_version=\d+, written by a newer thinkless-flows.*upgrade"
    ) as caught:
        run_pipeline(newer_home)
    assert caught.value.exit_code == 2
    assert path.read_bytes() == before


def test_a_catalog_is_not_rebuilt_from_a_store_of_a_newer_version(newer_home: Path, thinkless_here: Thinkless) -> None:
    answer = thinkless_here(newer_home, "catalog", "rebuild")
    assert answer.code == 2
    assert "written by a newer thinkless-flows" in answer.err


def test_the_program_can_be_called_as_a_module(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "flows.cli", "run", "--profile", "tinny"],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (finished.returncode, "did you mean 'tiny'" in finished.stderr) == (2, True)
