"""A run that finds everything in the store: neither Prefect nor torch is loaded, and it is on record like any other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.prefect.prefect_server import server_address
from infra.catalog.query import run_query
from infra.runs import list_runs
from tests.closed_address import closed_address
from tests.integration.conftest import BuiltHome
from tests.integration.driver import LABELS, SMALL
from tests.integration.processes import ROOT, environment

RUN_AND_TELL = """
import sys
from flows.cli import main
code = main(sys.argv[1:])
print("loaded:", *sorted({name.partition(".")[0] for name in sys.modules}))
sys.stdout.flush()
import os
os._exit(code)
"""


def run_from_the_store(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`thinkless run` of the small pipeline, and which packages it loaded."""
    overrides = [word for override in SMALL for word in ("--set", override)]
    return subprocess.run(
        [sys.executable, "-c", RUN_AND_TELL, "run", *overrides, *words],
        cwd=ROOT,
        env=environment(home, PREFECT_HOME=str(home)),
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_cached_run_loads_neither_prefect_nor_torch(home: Path, built: BuiltHome) -> None:
    finished = run_from_the_store(home)
    assert finished.returncode == 0, finished.stderr
    loaded = set(finished.stdout.splitlines()[-1].split())
    assert loaded & {"prefect", "torch", "transformers", "great_expectations", "matplotlib"} == set()
    assert {"duckdb", "pydantic"} <= loaded, "it did run"
    assert "tiny-easy" in finished.stdout, "the result table"
    assert str(built.run.artifacts["report"].key) in finished.stdout
    assert [line.split()[1:3] for line in finished.stderr.splitlines()[1:]] == [[label, "cached"] for label in LABELS]


def test_it_is_on_record_and_counted_as_a_hit(home: Path, built: BuiltHome) -> None:
    run_from_the_store(home, "--until", "rl")
    (record,) = [run for run in list_runs(home) if run.run_id != built.run.run_id]
    assert (record.status, record.error) == ("completed", None)
    assert record.stages == tuple(use.model_copy(update={"cached": True}) for use in built.run.uses[:7])
    rows = run_query(
        home, "select stage, cached_hits from artifacts where cached_hits > 0 order by all", timeout_seconds=20
    ).to_pylist()
    assert [row["stage"] for row in rows] == ["base", "pairs", "problems", "rl", "sft", "teach", "teach"]
    assert {row["cached_hits"] for row in rows} == {1}


def test_only_says_what_is_missing_before_anything_slow(home: Path) -> None:
    finished = run_from_the_store(home, "--only", "rl", "--set", "sft.seed=7")
    assert finished.returncode == 2
    assert "stage sft (" in finished.stderr
    assert "torch" not in finished.stdout.splitlines()[-1].split()


@pytest.mark.parametrize(
    ("files", "variables", "configured"),
    [
        ({}, {}, None),
        ({}, {"PREFECT_API_URL": "http://127.0.0.1:4200/api"}, "http://127.0.0.1:4200/api"),
        ({"home/profiles.toml": 'active = "a"\n[profiles.a]\nPREFECT_API_URL = "http://x/api"\n'}, {}, "http://x/api"),
        ({"home/profiles.toml": 'active = "b"\n[profiles.a]\nPREFECT_API_URL = "http://x/api"\n'}, {}, None),
        (
            {"home/profiles.toml": 'active = "b"\n[profiles.a]\nPREFECT_API_URL = "http://x/api"\n'},
            {"PREFECT_PROFILE": "a"},
            "http://x/api",
        ),
        ({"home/profiles.toml": "active = "}, {}, None),
        ({".env": "PREFECT_API_URL=http://x/api\n"}, {}, "http://x/api"),
        ({"prefect.toml": '[api]\nurl = "http://x/api"\n'}, {}, "http://x/api"),
        ({"pyproject.toml": '[tool.prefect.api]\nurl = "http://x/api"\n'}, {}, "http://x/api"),
        ({"pyproject.toml": "[tool.ruff]\n"}, {}, None),
    ],
)
def test_a_server_is_found_wherever_prefect_would_find_it(
    files: dict[str, str],
    variables: dict[str, str],
    configured: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    for name, value in {"PREFECT_HOME": str(tmp_path / "home"), **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    assert server_address() == configured


def test_a_silent_server_is_no_obstacle_to_what_is_in_the_store(home: Path, built: BuiltHome) -> None:
    overrides = [word for override in SMALL for word in ("--set", override)]

    def said(*words: str) -> subprocess.CompletedProcess[str]:
        env = environment(home, PREFECT_HOME=str(home), PREFECT_API_URL=f"{closed_address()}/api")
        command = [sys.executable, "-m", "flows.cli", "run", *overrides, *words]
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)

    finished = said()
    assert finished.returncode == 0, finished.stderr
    assert "does not answer, and has no record of this run; start it (prefect server start)" in finished.stderr
    assert str(built.run.artifacts["report"].key) in finished.stdout
    refused = said("--set", "rl.gamma=0.1")
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert line.startswith("thinkless: the Prefect server http://127.0.0.1:")
    assert line.endswith("or add --no-prefect")


@pytest.mark.prefect
@pytest.mark.slow
def test_a_temporary_server_that_does_not_start_in_time_is_one_sentence_with_the_way_out(tmp_path: Path) -> None:
    seconds = "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"
    env = environment(tmp_path / "home", PREFECT_HOME=str(tmp_path), **{seconds: "0"})
    command = [sys.executable, "-m", "flows.cli", "run", "--until", "base"]
    refused = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert refused.returncode == 2, refused.stderr
    (line,) = refused.stderr.splitlines()
    assert line.startswith("thinkless: Prefect's temporary server did not answer within 0 s (")
    assert f"add --no-prefect, or give it more time: {seconds}=600" in line
