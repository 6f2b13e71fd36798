"""`import thinkless`: a run, its tables, its model and SQL from Python, and the notebook as it is printed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import pytest

import thinkless
from flows.toml_text import toml_text
from schemas.configs.loading import load_config
from schemas.errors import ConfigError, MissingArtifactError, QueryError
from schemas.mode import Mode
from tests.integration.conftest import BuiltHome
from tests.integration.driver import SMALL
from tests.integration.pages import blocks
from tests.integration.processes import ROOT


@pytest.fixture
def here(built: BuiltHome, monkeypatch: pytest.MonkeyPatch) -> thinkless.Run:
    """The newest run of the built home."""
    monkeypatch.setenv("THINKLESS_HOME", str(built.path))
    return thinkless.open_run()


def test_a_table_is_the_rows_that_the_runs_stages_wrote(here: thinkless.Run) -> None:
    counted = thinkless.sql("select count(*) as n from generations")["n"].to_pylist()
    rows = here.table("generations")
    assert [rows.num_rows] == counted
    assert set(rows["mode"].to_pylist()) == {"think", "short"}, "of both teachers"
    assert here.dataset("generations").to_list() == rows.to_pylist()
    assert len(rows.to_pandas()) == rows.num_rows
    assert {"problems", "pairs", "eval_summary"} <= set(here.tables())
    with pytest.raises(MissingArtifactError, match="no table 'pears'; did you mean 'pairs'"):
        here.table("pears")


def test_model_and_report_are_files_that_others_read(here: thinkless.Run) -> None:
    assert (here.model() / "config.json").is_file()
    assert (here.model("sft") / "config.json").is_file()
    assert here.report().read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")
    with pytest.raises(MissingArtifactError, match="no stage tech; it has: base, problems"):
        here.folder("tech")


def test_sql_fills_its_places_and_only_reads(here: thinkless.Run) -> None:
    (first, *_) = here.table("problems")["problem_id"].to_pylist()
    found = thinkless.sql("select problem_id from problems where problem_id = $id", id=first)
    assert found["problem_id"].to_pylist() == [first]
    with pytest.raises(QueryError, match="the catalog is read-only"):
        thinkless.sql("drop table problems")


def test_a_policy_answers_in_the_mode_it_is_told_or_chooses(here: thinkless.Run, tmp_path: Path) -> None:
    policy = thinkless.load_policy(here)
    for mode in Mode:
        reply = policy.answer("37+48=?", mode=mode, max_new_tokens=8)
        assert (reply.mode, reply.completion.startswith(f"<{mode}>")) == (mode, True)
    assert policy.answer("37+48=?", effort=50.0, max_new_tokens=8).mode is Mode.THINK
    assert policy.answer("37+48=?", effort=-50.0, max_new_tokens=8).mode is Mode.SHORT
    exported = shutil.copytree(here.model(), tmp_path / "exported")
    assert thinkless.load_policy(exported).answer("1+1=?", max_new_tokens=8) == policy.answer("1+1=?", max_new_tokens=8)
    with pytest.raises(ConfigError, match="mode is 'long', expected one of"):
        policy.answer("1+1=?", mode="long")
    with pytest.raises(ConfigError, match=r"is no model: it has no config\.json"):
        thinkless.load_policy(tmp_path)


def test_a_run_from_python_beside_an_open_notebook(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THINKLESS_HOME", str(home))
    with duckdb.connect(str(home / "catalog.duckdb"), read_only=True) as notebook:
        before = notebook.execute("select count(*) from runs").fetchall()
        again = thinkless.run("tiny", SMALL)
        assert [use.word for use in again.record.stages] == ["cached"] * 9
        assert notebook.execute("select count(*) from runs").fetchall() == before
        assert again.run_id in thinkless.sql("select run_id from runs")["run_id"].to_pylist()
    assert [run.run_id for run in thinkless.runs()][-1] == again.run_id


def test_overrides_in_python_are_those_of_the_command_line() -> None:
    source = {"kind": "procedural", "num_problems": 7, "mix": [0.5, 0.5]}
    written = [
        f"problems.source={toml_text(source)}",
        f"rl.gamma={toml_text(0.3)}",
        f"sft.precision={toml_text('auto')}",
    ]
    config = load_config("tiny", overrides=written)
    assert (config.problems.source.model_dump()["num_problems"], config.rl.gamma) == (7, 0.3)
    assert toml_text([True, 'a"b', [1, 2.5]]) == '[true, "a\\"b", [1, 2.5]]'
    with pytest.raises(ConfigError, match="override None is a NoneType, expected text, a number"):
        toml_text(None)


@pytest.mark.slow
def test_the_notebook_runs_as_it_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THINKLESS_HOME", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = json.loads((ROOT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))
    names: dict[str, object] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), "notebook", "exec"), names)
    run = names["run"]
    assert isinstance(run, thinkless.Run)
    assert run.report().is_file()


@pytest.mark.slow
def test_the_readmes_python_runs_as_it_is_printed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THINKLESS_HOME", str(home))
    (lines,) = blocks(ROOT / "README.md", "python")
    run = thinkless.run
    small = {key: int(value) for key, value in (override.split("=") for override in SMALL)}
    monkeypatch.setattr(thinkless, "run", lambda profile, changed: run(profile, {**small, **changed}))
    names: dict[str, object] = {}
    exec(compile(lines, "README", "exec"), names)
    assert isinstance(names["run"], thinkless.Run)
