"""Every command on a finished run: what it prints is what the store holds."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from infra.catalog.query import run_query
from infra.store.artifact_store import ArtifactStore
from tests.integration.conftest import BuiltHome
from tests.integration.driver import LABELS
from tests.integration.processes import Said
from thinkless_core.student.model_files import load_tokenizer
from thinkless_core.student.tiny_model import tiny_tokenizer

Thinkless = Callable[..., Said]
SQL_PAGE = Path(__file__).parents[2] / "docs" / "sql.md"
RESULT_TABLE = "select benchmark, model, mode, accuracy, think_share, mean_tokens from eval_summary order by all"
COMMANDS = (
    "init",
    "run",
    "runs",
    "watch",
    "compare",
    "study",
    "sql",
    "lineage",
    "catalog",
    "doctor",
    "ask",
    "export",
    "report",
    "grade",
    "why",
)


def test_help_names_every_command_and_shows_examples(thinkless_here: Thinkless, tmp_path: Path) -> None:
    answer = thinkless_here(tmp_path, "--help")
    assert answer.code == 0
    assert all(f"\n    {name} " in answer.out for name in COMMANDS)
    examples = answer.out.partition("examples:")[2].strip().partition("\n\n")[0].splitlines()
    assert len(examples) >= 5
    assert all(line.strip().startswith("thinkless ") for line in examples)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, thinkless_here: Thinkless, tmp_path: Path) -> None:
    answer = thinkless_here(tmp_path, name, "--help")
    assert answer.code == 0
    assert answer.out.startswith(f"usage: thinkless {name}")
    assert f"\n\nexamples:\n  thinkless {name}" in answer.out.partition("\noptions:")[0], "examples come first"
    assert "%%" not in answer.out


def test_the_result_table_has_nine_rows_for_each_benchmark(thinkless_here: Thinkless, built: BuiltHome) -> None:
    answer = thinkless_here(built.path, "sql", "--format", "json", RESULT_TABLE)
    assert answer.code == 0
    rows = json.loads(answer.out)
    cells = {(row["benchmark"], row["model"], row["mode"]) for row in rows}
    assert len(rows) == len(cells) == 27
    assert cells == {
        (benchmark, model, mode)
        for benchmark in ("tiny-easy", "tiny-mixed", "tiny-hard")
        for model in ("base", "sft", "rl")
        for mode in ("auto", "short", "think")
    }


def test_every_format_holds_the_same_rows(thinkless_here: Thinkless, built: BuiltHome, tmp_path: Path) -> None:
    query = "select benchmark, n from eval_summary where model = 'rl' and mode = 'auto' order by 1"
    as_json = json.loads(thinkless_here(built.path, "sql", query, "--format", "json").out)
    assert as_json == [{"benchmark": name, "n": 6} for name in ("tiny-easy", "tiny-hard", "tiny-mixed")]
    as_csv = csv.DictReader(io.StringIO(thinkless_here(built.path, "sql", query, "--format", "csv").out))
    assert [{"benchmark": row["benchmark"], "n": int(row["n"])} for row in as_csv] == as_json
    table = thinkless_here(built.path, "sql", query).out.splitlines()
    assert table[0].split() == ["benchmark", "n"]
    assert [line.split() for line in table[2:5]] == [[row["benchmark"], str(row["n"])] for row in as_json]
    path = tmp_path / "rows.parquet"
    assert thinkless_here(built.path, "sql", query, "--format", "parquet", "--output", str(path)).code == 0
    assert pq.read_table(path).to_pylist() == as_json


def test_the_public_columns_are_there(built: BuiltHome) -> None:
    public = {
        "eval_summary": "run_id model benchmark mode n accuracy accuracy_stderr think_share mean_tokens "
        "truncated_share grader",
        "pairs": "problem_id prompt answer think_completion short_completion think_tokens short_tokens "
        "think_truncated short_truncated split artifact_key",
        "metrics": "run_id stage step name value",
        "runs": "run_id profile status started_at finished_at",
        "artifacts": "stage key path digest rows created_at cached_hits",
        "edges": "parent_stage parent_key child_stage child_key",
        "checks": "artifact_key suite expectation success observed failing_rows",
        "rollouts": "rollout_id reward advantage artifact_key",
        "eval_completions": "completion_id model benchmark mode artifact_key",
    }
    for table, columns in public.items():
        rows = run_query(built.path, f"select {columns.replace(' ', ', ')} from {table}", timeout_seconds=20)
        assert rows.num_rows > 0, table


def test_every_check_that_was_made_is_in_the_catalog_and_passed(built: BuiltHome) -> None:
    rows = run_query(
        built.path, "select suite, count(*) as n, bool_and(success) as fine from checks group by 1", timeout_seconds=20
    ).to_pylist()
    assert {row["suite"] for row in rows} == {"problems", "generations", "pairs", "rollouts", "eval_completions"}
    assert all(row["fine"] and row["n"] > 5 for row in rows)


@pytest.mark.parametrize("form", ["key", "beginning", "stage/key", "stage", "completion"])
def test_lineage_takes_every_kind_of_reference(form: str, thinkless_here: Thinkless, built: BuiltHome) -> None:
    artifact = built.run.artifacts["evaluate"]
    (row,) = run_query(built.path, "select completion_id from eval_completions limit 1", timeout_seconds=20).to_pylist()
    ref = {
        "key": artifact.key,
        "beginning": artifact.key[:10],
        "stage/key": f"evaluate/{artifact.key}",
        "stage": "evaluate",
        "completion": row["completion_id"],
    }[form]
    answer = thinkless_here(built.path, "lineage", ref)
    assert answer.code == 0
    up, down = answer.out.split(f"made from evaluate/{artifact.key}\n")
    assert f"evaluate/{artifact.key} was made from" in up
    for label in LABELS[:-1]:
        upstream = built.run.artifacts[label]
        rows = "1 row" if upstream.rows == 1 else f"{upstream.rows} rows"
        assert f"{label} {upstream.key[:8]}  {rows}  digest {upstream.digest[:12]}" in up
    assert f"report {built.run.artifacts['report'].key[:8]}" in down


def test_the_recursive_query_of_the_docs_reaches_every_stage(built: BuiltHome) -> None:
    (query,) = re.findall(r"```sql\n(with recursive .*?)```", SQL_PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    rows = run_query(built.path, query, timeout_seconds=20).to_pylist()
    found = {(row["stage"], row["key"], row["rows"], row["digest"]) for row in rows}
    assert found == {
        (artifact.stage, artifact.key[:8], artifact.rows, artifact.digest[:12])
        for label, artifact in built.run.artifacts.items()
        if label != "report"
    }


def test_every_query_of_the_docs_runs(built: BuiltHome) -> None:
    queries = re.findall(r'^thinkless sql .*?"(.*)"$', SQL_PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(queries) >= 3
    for query in queries:
        assert run_query(built.path, query, timeout_seconds=20).num_columns > 0, query


def test_a_rebuilt_catalog_holds_what_the_old_one_held(home: Path, thinkless_here: Thinkless) -> None:
    before = contents(home)
    (home / "catalog.duckdb").unlink()
    answer = thinkless_here(home, "catalog", "rebuild")
    assert answer.code == 0
    assert "catalog rebuilt from 9 artifacts and 1 runs" in answer.out
    after = contents(home)
    assert after.keys() == before.keys()
    # Paths name the copy now; nothing else may differ.
    assert {table for table in after if after[table] != before[table]} <= {"artifacts"}
    assert len(after["artifacts"]) == len(before["artifacts"])


def contents(home: Path) -> dict[str, list[str]]:
    """Every table's rows, as text, sorted. One thread, or a view's mean is summed in another order each time."""
    with duckdb.connect(str(home / "catalog.duckdb"), read_only=True, config={"threads": 1}) as connection:
        tables = [name for (name,) in connection.execute("show tables").fetchall()]
        return {name: sorted(map(str, connection.execute(f"from {name}").fetchall())) for name in tables}


def test_report_names_a_file_that_needs_no_network(thinkless_here: Thinkless, built: BuiltHome) -> None:
    for arguments in (["report"], ["report", built.run.run_id]):
        answer = thinkless_here(built.path, *arguments)
        assert answer.code == 0
        path = Path(answer.out.strip())
        assert path == ArtifactStore(built.path).path("report", built.run.artifacts["report"].key) / "report.html"
    page = path.read_text(encoding="utf-8")
    assert not any(f'{attribute}="{scheme}' in page for attribute in ("src", "href") for scheme in ("http:", "https:"))
    assert "<svg" in page or "data:image" in page


@pytest.mark.parametrize(("mode", "token"), [("short", "<short>"), ("think", "<think>"), ("auto", "<")])
def test_ask_answers_in_every_mode(mode: str, token: str, thinkless_here: Thinkless, built: BuiltHome) -> None:
    answer = thinkless_here(built.path, "ask", "37+48=?", "--mode", mode, "--max-new-tokens", "12")
    assert answer.code == 0
    assert answer.out.startswith(token)
    assert "P(think)" in answer.out
    if mode != "auto":
        assert f"mode {mode}" in answer.out


@pytest.mark.parametrize(("bias", "mode"), [("50", "think"), ("-50", "short")])
def test_a_strong_bias_decides_the_mode(bias: str, mode: str, thinkless_here: Thinkless, built: BuiltHome) -> None:
    answer = thinkless_here(built.path, "ask", "37+48=?", f"--think-bias={bias}", "--max-new-tokens", "4")
    assert f"mode {mode}" in answer.out


def test_doctor_finds_nothing_wrong_with_the_embedded_default(thinkless_here: Thinkless, tmp_path: Path) -> None:
    answer = thinkless_here(tmp_path / "home", "doctor", "--set", "problems.source.num_problems=50")
    assert answer.code == 0, answer.out + answer.err
    assert "FAIL" not in answer.out
    for name in ("store", "disk", "memory", "tokenizer", "problems"):
        assert f"ok    {name} " in answer.out


def test_doctor_says_what_a_run_would_meet_later(thinkless_here: Thinkless, tmp_path: Path) -> None:
    answer = thinkless_here(
        tmp_path / "home", "doctor",
        "--set", "problems.benchmarks.mine.kind=local", "--set", "problems.benchmarks.mine.path=absent.jsonl",
    )  # fmt: skip
    assert answer.code == 2
    assert "FAIL  mine " in answer.out
    assert "absent.jsonl: no such file" in answer.out


@pytest.mark.parametrize("label", ["base", "sft", "rl"])
def test_the_tokenizer_beside_every_model_reads_texts_as_the_student_was_taught(label: str, built: BuiltHome) -> None:
    """As the Auto class loads it, which looks at the architecture's name as well as at the files."""
    loaded, original = load_tokenizer(Path(built.run.artifacts[label].path) / "model"), tiny_tokenizer()
    for text in ("37+48=?", "<think>3+4=7</think>7", "two words, one\nline break", "no such letter: \u00e9"):
        ids = original(text, add_special_tokens=False).input_ids
        assert loaded(text, add_special_tokens=False).input_ids == ids
        assert loaded.decode(ids) == original.decode(ids)
