"""`thinkless sql`: everything can be read, nothing can be written, every error says what is wrong."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.catalog.catalog import Catalog
from infra.catalog.query import format_table, run_query
from schemas.errors import CatalogLockedError, ConfigError, MissingArtifactError, QueryError
from tests.unit.infra.report.published import build_home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog that no test changes."""
    path = tmp_path_factory.mktemp("home")
    build_home(path)
    return path


@pytest.mark.parametrize(
    "sql",
    [
        "select model, accuracy from eval_summary",
        "SELECT * FROM pairs;",
        "with m as (select * from metrics) select avg(value) from m",
        "from runs",
        "values (1)",
        "describe pairs",
        "show tables",
        "summarize metrics",
        "pivot metrics on name using sum(value)",
        "explain select 1",
        "-- a comment first\nselect 1",
        "select 1 where false",
    ],
)
def test_reading_statements_of_every_form_are_run(home: Path, sql: str) -> None:
    assert isinstance(run_query(home, sql, timeout_seconds=5), pa.Table)


@pytest.mark.parametrize(
    "sql",
    [
        "insert into pairs select * from pairs",
        "update runs set status = 'completed'",
        "delete from runs",
        "truncate runs",
        "create table mine as select 1",
        "create temp table mine as select 1",
        "create view mine as select 1",
        "drop table pairs",
        "alter table pairs add column x int",
        "copy pairs to 'pairs.csv'",
        "export database 'elsewhere'",
        "attach 'other.duckdb'",
        "detach catalog",
        "use memory",
        "pragma database_list",
        "set enable_external_access = true",
        "reset lock_configuration",
        "checkpoint",
        "vacuum",
        "install httpfs",
        "load httpfs",
        "call pragma_version()",
        "begin",
        "prepare p as select 1",
        "with gone as (delete from runs returning *) select * from gone",
        "explain analyze delete from runs",
    ],
)
def test_writing_statements_of_every_form_are_refused_by_name(home: Path, sql: str) -> None:
    before = (home / "catalog.duckdb").read_bytes()
    with pytest.raises(QueryError, match=r"(?s)refused: .*read-only|does not parse") as refused:
        run_query(home, sql, timeout_seconds=5)
    assert sql[:20] in str(refused.value)
    assert (home / "catalog.duckdb").read_bytes() == before


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('/etc/passwd')",
        "select * from '/etc/passwd.parquet'",
        "select * from glob('/*')",
    ],
)
def test_files_outside_the_catalog_are_out_of_reach(home: Path, sql: str) -> None:
    with pytest.raises(QueryError, match="out of reach"):
        run_query(home, sql, timeout_seconds=5)


def test_variables_of_the_calling_program_are_out_of_reach(home: Path) -> None:
    secret = pa.table({"x": [1]})
    with pytest.raises(QueryError, match="secret does not exist"):
        run_query(home, "select * from secret", timeout_seconds=5)
    assert secret.num_rows == 1


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("selec 1", r'(?s)syntax error at or near "selec".*\^'),
        ("select accurcy from eval_summary", r'(?s)"accurcy" not found.*accuracy.*\^'),
        ("select * from eval_sumary", r"eval_sumary does not exist"),
        ("select 1; select 2", "got 2 SQL statements, expected exactly one"),
        ("", "got 0 SQL statements"),
        ("-- nothing", "got 0 SQL statements"),
        ("select 1 / 'x'", "Conversion Error"),
        ("select ?", "Values were not provided"),
    ],
)
def test_wrong_sql_is_explained_in_duckdbs_own_words(home: Path, sql: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        run_query(home, sql, timeout_seconds=5)


def test_parameters_are_bound_not_pasted(home: Path) -> None:
    found = run_query(home, "select $x as x", timeout_seconds=5, parameters={"x": "'; drop table runs; --"})
    assert found.to_pylist() == [{"x": "'; drop table runs; --"}]


def test_before_the_first_run_the_way_out_is_named_and_nothing_is_created(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifactError, match=r"no run yet.*thinkless run --profile tiny"):
        run_query(tmp_path / "home", "select 1", timeout_seconds=5)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("damage", [None, b"garbage" * 1000, b""])
def test_a_lost_or_damaged_catalog_is_rebuilt_on_the_way(home: Path, tmp_path: Path, damage: bytes | None) -> None:
    copy = tmp_path / "home"
    shutil.copytree(home, copy)
    (copy / "catalog.duckdb").unlink()
    if damage is not None:
        (copy / "catalog.duckdb").write_bytes(damage)
    assert run_query(copy, "select count(*) as n from runs", timeout_seconds=5).to_pylist() == [{"n": 2}]


HOLD = """
import duckdb, sys, time
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


def test_a_query_waits_for_a_writer_and_gives_up_politely(home: Path) -> None:
    for seconds, patience in ((0.6, 30.0), (60.0, 0.3)):
        writer = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(home / "catalog.duckdb"), str(seconds)],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "held\n"
            if patience > seconds:
                assert run_query(home, "select 1", timeout_seconds=patience).num_rows == 1
            else:
                with pytest.raises(CatalogLockedError, match=rf"\(pid {writer.pid}\)"):
                    run_query(home, "select 1", timeout_seconds=patience)
        finally:
            writer.kill()
            writer.communicate()


def test_reading_and_writing_in_threads_of_one_process_wait_for_each_other(home: Path, tmp_path: Path) -> None:
    copy = tmp_path / "home"
    shutil.copytree(home, copy)
    errors: list[Exception] = []

    def read() -> None:
        try:
            for _ in range(10):
                run_query(copy, "select count(*) from pairs", timeout_seconds=30)
        except Exception as error:  # noqa: BLE001 - handed to the test's thread
            errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        Catalog(copy, timeout_seconds=30).open_or_rebuild()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_query_loads_nothing_heavy(home: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom infra.catalog.query import format_table, run_query\n"
        f"print(format_table(run_query(Path({str(home)!r}), 'select 1', timeout_seconds=5), 'table'))\n"
        "heavy = {'torch', 'great_expectations', 'prefect', 'pandas', 'transformers', 'openlineage'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


RESULT = pa.table(
    {
        "name": ["short", "two\nlines " + "x" * 100],
        "n": [1, None],
        "share": [0.25, float("nan")],
        "ok": [True, False],
        "items": [["a"], []],
    }
)


def test_table_format_is_aligned_with_a_row_count_and_long_cells_cut() -> None:
    text = format_table(RESULT, "table")
    assert isinstance(text, str)
    lines = text.split("\n")
    assert lines[0].split() == ["name", "n", "share", "ok", "items"]
    assert lines[2].startswith("short ")
    assert lines[3].startswith("two\\nlines xxx")
    assert "x..." in lines[3]
    assert lines[0].index("share") + len("share") == lines[2].index("0.25") + len("0.25")
    assert lines[-1] == "(2 rows)"
    assert str(format_table(RESULT.slice(0, 1), "table")).endswith("(1 row)")
    assert str(format_table(RESULT.slice(0, 0), "table")).endswith("(0 rows)")


def test_json_format_is_a_list_of_objects_with_nulls_and_numbers(home: Path) -> None:
    assert json.loads(format_table(RESULT, "json")) == [
        {"name": "short", "n": 1, "share": 0.25, "ok": True, "items": ["a"]},
        {"name": "two\nlines " + "x" * 100, "n": None, "share": None, "ok": False, "items": []},
    ]
    table = run_query(
        home,
        "select sum(n) as total, 1.5::decimal(4,2) as price, min(started_at) - min(started_at) as no_time, "
        "timestamp '2026-11-21 10:00:00' as at, 1 as twice, 2 as twice from eval_summary, runs",
        timeout_seconds=5,
    )
    assert json.loads(format_table(table, "json")) == [
        {
            "total": 2,
            "price": 1.5,
            "no_time": "0:00:00",
            "at": "2026-11-21T10:00:00",
            "twice": 1,
            "twice_1": 2,
        }
    ]


def test_csv_format_has_a_header_and_whole_cells() -> None:
    rows = list(csv.reader(io.StringIO(str(format_table(RESULT, "csv")))))
    assert rows == [
        ["name", "n", "share", "ok", "items"],
        ["short", "1", "0.25", "true", '["a"]'],
        ["two\nlines " + "x" * 100, "", "", "false", "[]"],
    ]


def test_parquet_format_is_the_bytes_of_a_file(home: Path) -> None:
    content = format_table(RESULT, "parquet")
    assert isinstance(content, bytes)
    assert pq.read_table(io.BytesIO(content)).column("name").to_pylist() == RESULT.column("name").to_pylist()
    durations = run_query(
        home, "select started_at - started_at + interval 26 hours as d from runs limit 1", timeout_seconds=5
    )
    content = format_table(durations, "parquet")
    assert isinstance(content, bytes)
    assert pq.read_table(io.BytesIO(content)).to_pylist() == [{"d": "1 day, 2:00:00"}]


def test_another_format_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="did you mean 'json'"):
        format_table(RESULT, "jsn")  # type: ignore[arg-type]
