"""What a user asks of runs and rows after the run: which there are, how two differ, where a row came from."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows.grammar.whole_grammar import build_parser
from infra.catalog.query import run_query
from infra.runs import list_runs, save_run
from tests.integration.conftest import BuiltHome
from tests.integration.driver import LABELS, run_pipeline
from tests.integration.processes import Said

Thinkless = Callable[..., Said]


def every_command() -> dict[str, argparse.ArgumentParser]:
    """Name -> parser of each command."""
    (commands,) = [a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(commands.choices)


def test_every_option_of_every_command_has_a_help_text_and_every_command_an_example() -> None:
    bare = [
        f"{name} {action.option_strings or action.dest}"
        for name, command in every_command().items()
        for action in command._actions
        if not action.help
    ]
    assert bare == []
    without = [
        name for name, command in every_command().items() if f"  thinkless {name}" not in (command.description or "")
    ]
    assert without == []


def test_the_version_is_that_of_the_installed_package(thinkless_here: Thinkless, tmp_path: Path) -> None:
    answer = thinkless_here(tmp_path, "--version")
    assert answer.code == 0
    assert answer.out.startswith("thinkless-flows 0.")


def test_runs_are_listed_and_one_is_shown_with_what_was_set_for_it(thinkless_here: Thinkless, built: BuiltHome) -> None:
    (row,) = json.loads(thinkless_here(built.path, "runs", "--format", "json").out)
    assert (row["run"], row["profile"], row["status"], row["built"]) == (built.run.run_id, "tiny", "completed", 9)
    shown = thinkless_here(built.path, "runs", "show")
    assert shown.code == 0, shown.err
    assert "rl.steps 40 -> 8" in shown.out
    for label in LABELS:
        assert re.search(rf"^{label} +built +{built.run.artifacts[label].key} ", shown.out, re.M)
    assert "tiny-mixed: rl auto thinks on" in shown.out
    assert thinkless_here(built.path, "runs", "list", "x").code == 2


def test_two_runs_are_compared_problem_by_problem(thinkless_here: Thinkless, home: Path, built: BuiltHome) -> None:
    alone = thinkless_here(home, "compare", built.run.run_id, built.run.run_id)
    assert "their configurations are equal" in alone.out
    assert "both have the same evaluation" in alone.out
    second = run_pipeline(home, "sft.steps=28", until="evaluate")
    answer = thinkless_here(home, "compare", built.run.run_id, second.run_id)
    assert answer.code == 0, answer.err
    assert "sft.steps 30 -> 28" in answer.out
    rows = json.loads(
        thinkless_here(home, "compare", built.run.run_id, second.run_id, "--format", "json").out.split("\n\n")[-1]
    )
    assert len(rows) == 27
    (row,) = [r for r in rows if (r["benchmark"], r["model"], r["mode"]) == ("tiny-easy", "rl", "think")]
    means = run_query(
        home,
        "select avg(num_tokens) as tokens, count(distinct problem_id) as problems from eval_completions "
        "where benchmark = 'tiny-easy' and model = 'rl' and mode = 'think' and artifact_key = $key",
        timeout_seconds=20,
        parameters={"key": second.artifacts["evaluate"].key},
    ).to_pylist()
    assert row["problems"] == means[0]["problems"] == 6
    assert row["tokens_2"] == pytest.approx(means[0]["tokens"], abs=0.05)
    assert f"{row['tokens_2'] - row['tokens_1']:+.1f} (" in row["tokens_difference"]


def test_a_members_model_is_not_the_newest(thinkless_here: Thinkless, home: Path, built: BuiltHome) -> None:
    (run,) = list_runs(home)
    save_run(home, run.model_copy(update={"run_id": "99999999-member", "study": "claims"}))
    answer = thinkless_here(home, "ask", "1+1=?", "--max-new-tokens", "4")
    assert answer.code == 0, answer.err
    assert f"run {built.run.run_id}; newer, and passed over: 1 of study claims" in answer.err
    named = thinkless_here(home, "ask", "1+1=?", "--max-new-tokens", "4", "--run", "9999", "--model", "sft")
    assert named.code == 0, named.err
    assert "passed over" not in named.err


def test_a_query_comes_from_a_file_and_its_rows_go_where_the_name_says(
    thinkless_here: Thinkless, built: BuiltHome, tmp_path: Path
) -> None:
    query = tmp_path / "query.sql"
    query.write_text("select problem_id, prompt, think_completion from pairs", encoding="utf-8")
    made = thinkless_here(built.path, "sql", "--file", str(query), "--output", str(tmp_path / "rows.parquet"))
    assert made.code == 0, made.err
    num_rows = built.run.artifacts["pairs"].rows
    assert f"{num_rows} rows are in " in made.err
    assert pq.read_table(tmp_path / "rows.parquet").num_rows == num_rows
    for name in ("rows.csv", "rows.json"):
        assert thinkless_here(built.path, "sql", "from pairs", "--output", str(tmp_path / name)).code == 0
    assert len(json.loads((tmp_path / "rows.json").read_text(encoding="utf-8"))) == num_rows
    assert (tmp_path / "rows.csv").read_text(encoding="utf-8").startswith("problem_id,")


def test_a_long_text_is_whole_where_nobody_looks_at_a_screen(thinkless_here: Thinkless, built: BuiltHome) -> None:
    answer = thinkless_here(built.path, "sql", f"select '{'x' * 200}' as long")
    assert "x" * 200 in answer.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "a query or --file FILE is expected, got none"),
        (["select 1", "--file", "q.sql"], "expected, got both"),
        (["--file", "absent.sql"], "--file absent.sql cannot be read"),
        (["select 1", "--format", "csv", "--output", "x.parquet"], "contradict each other"),
    ],
)
def test_a_query_that_cannot_be_meant_is_refused(
    arguments: list[str], said: str, thinkless_here: Thinkless, built: BuiltHome
) -> None:
    answer = thinkless_here(built.path, "sql", *arguments)
    assert answer.code == 2
    assert said in answer.err


def test_lineage_shows_the_path_of_a_problem_a_completion_and_a_run(
    thinkless_here: Thinkless, built: BuiltHome
) -> None:
    (pair,) = run_query(
        built.path, "select problem_id, artifact_key from pairs limit 1", timeout_seconds=20
    ).to_pylist()
    path = thinkless_here(built.path, "lineage", pair["problem_id"])
    assert path.code == 0, path.err
    steps = [line.split()[:2] for line in path.out.splitlines()[2:6]]
    assert [stage for stage, _ in steps] == ["problems", "teach", "teach", "pairs"]
    assert steps[3][1] == pair["artifact_key"]
    (row,) = run_query(
        built.path, "select completion_id, problem_id from eval_completions where model = 'rl' limit 1",
        timeout_seconds=20,
    ).to_pylist()  # fmt: skip
    answer = thinkless_here(built.path, "lineage", row["completion_id"]).out
    table = answer.partition("\n(")[0].splitlines()[2:]
    assert [line.split()[0] for line in table] == ["problems", "evaluate"]
    assert "was made from" in answer
    run = thinkless_here(built.path, "lineage", built.run.run_id)
    assert f"report/{built.run.artifacts['report'].key} was made from" in run.out


def test_verify_says_how_much_it_read(thinkless_here: Thinkless, built: BuiltHome) -> None:
    answer = thinkless_here(built.path, "catalog", "verify")
    assert answer.code == 0
    assert answer.out.startswith("9 artifacts, ")
    assert answer.out.strip().endswith(" MB, read: all are whole")
