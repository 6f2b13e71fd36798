"""Each suite passes a clean table and refuses every fault, by the right check and with the right rows named.

A fault is a change of one clean table (tests/cases). Together the faults trip every check of every suite, so
that no check is dead.
"""

from __future__ import annotations

import fnmatch
import json
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.validation.checks import Suite, holds, required_columns
from infra.validation.gate import MAX_FAILING_ROWS, contract_error, failing, validate_parquet, validate_table
from infra.validation.suites import rollouts_suite
from schemas.artifact import CheckResult
from schemas.base import arrow_schema
from schemas.errors import ContractError
from tests.cases.validation_faults import FAULTS, Fault
from tests.cases.validation_tables import CLEAN, Row, Rows
from tests.fast_and_slow import fast_and_slow

TABLES = list(CLEAN)
SHARED_OUT = fast_and_slow(TABLES[:2], TABLES[2:])
Failed = dict[str, list[str]]


def write(path: Path, table: str, rows: Rows, schema: pa.Schema | None = None) -> Path:
    pq.write_table(pa.Table.from_pylist(rows, schema=schema or arrow_schema(CLEAN[table].record)), path)
    return path


def validate(tmp_path: Path, table: str, rows: Rows, schema: pa.Schema | None = None) -> tuple[CheckResult, ...]:
    path = write(tmp_path / "table.parquet", table, rows, schema)
    return validate_parquet(path, suite=CLEAN[table].suite, docs_dir=None)


def failed(checks: tuple[CheckResult, ...]) -> Failed:
    return {check.expectation: json.loads(check.failing_rows) for check in failing(checks)}


def parse(expected: str, ids: list[str]) -> Failed:
    """`check pattern pattern; check` -> check -> ids."""
    parts = [part.split() for part in expected.split(";")]
    return {
        name: sorted(i for i in ids if any(fnmatch.fnmatch(i, pattern) for pattern in patterns))
        for name, *patterns in parts
    }


def int32_column(table: str) -> pa.Schema:
    """The table's schema with its first whole-number column in 32 bits."""
    schema = arrow_schema(CLEAN[table].record)
    index = schema.types.index(pa.int64())
    return schema.set(index, schema.field(index).with_type(pa.int32()))


@pytest.mark.parametrize("table", TABLES)
def test_a_clean_table_passes_every_check(tmp_path: Path, table: str) -> None:
    suite = CLEAN[table].suite
    checks = validate(tmp_path, table, CLEAN[table].rows())
    assert failing(checks) == ()
    assert [check.expectation for check in checks] == [check.name for check in suite.checks]
    assert {check.failing_rows for check in checks} == {"[]"}


@pytest.mark.parametrize(
    "fault",
    # Each takes a second; every sixth of them touches every table.
    [fault if i % 6 == 0 else pytest.param(fault, marks=pytest.mark.slow) for i, fault in enumerate(FAULTS)],
    ids=lambda fault: f"{fault.table}: {fault.says}",
)
def test_a_fault_fails_its_checks_and_no_other_and_names_its_rows(tmp_path: Path, fault: Fault) -> None:
    rows = CLEAN[fault.table].rows()
    fault.change(rows)
    ids = [row[CLEAN[fault.table].suite.id_column] for row in rows]
    checks = validate(tmp_path, fault.table, rows)
    assert failed(checks) == parse(fault.expected, ids)
    for check in failing(checks):  # the engine counts as many rows as the gate names
        num = len(json.loads(check.failing_rows))
        assert not num or re.match(rf"{num} unexpected rows?\b", check.observed), check


@pytest.mark.parametrize("table", SHARED_OUT)
def test_a_null_in_a_required_column_is_found_and_its_row_named(tmp_path: Path, table: str) -> None:
    rows, suite = CLEAN[table].rows(), CLEAN[table].suite
    columns = required_columns(CLEAN[table].record)
    expected = {
        f"{column}_is_not_null": [f"row {i + 1}" if column == suite.id_column else rows[i][suite.id_column]]
        for i, column in enumerate(columns)
    }
    for i, column in enumerate(columns):
        rows[i][column] = None
    found = failed(validate(tmp_path, table, rows))
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize("table", SHARED_OUT)
def test_an_empty_table_fails(tmp_path: Path, table: str) -> None:
    found = failed(validate(tmp_path, table, []))
    assert "table_is_not_empty" in found
    assert not any(found.values())


@pytest.mark.parametrize("table", SHARED_OUT)
def test_an_id_twice_a_column_too_many_and_a_column_of_another_type_fail(tmp_path: Path, table: str) -> None:
    rows, id_column = CLEAN[table].rows(), CLEAN[table].suite.id_column
    rows[1][id_column] = rows[0][id_column]
    schema = int32_column(table).append(pa.field("extra", pa.string()))
    checks = validate(tmp_path, table, rows, schema)
    assert failed(checks) == {
        "columns_match_the_record": [],
        "column_types_match_the_record": sorted({row[id_column] for row in rows})[:MAX_FAILING_ROWS],
        f"{id_column}_is_unique": [rows[0][id_column]],
    }
    assert [" INTEGER" in check.observed for check in failing(checks)] == [False, True, False]


@pytest.mark.parametrize("table", TABLES)
def test_every_check_is_tripped_by_some_fault(table: str) -> None:
    suite = CLEAN[table].suite
    tripped = {name for fault in FAULTS if fault.table == table for name in parse(fault.expected, [])}
    tripped |= {f"{column}_is_not_null" for column in required_columns(CLEAN[table].record)}
    tripped |= {"table_is_not_empty", "columns_match_the_record", "column_types_match_the_record"}
    tripped |= {f"{suite.id_column}_is_unique"}
    assert tripped == {check.name for check in suite.checks}


def test_rewards_and_advantages_of_another_objective_are_judged_by_its_own_range(tmp_path: Path) -> None:
    rows = CLEAN["rollouts"].rows()
    for row in rows:
        row["reward"] = 0.0 if row["malformed"] else 1.05
        row["advantage"] = row["reward"] - 0.5
    path = write(tmp_path / "table.parquet", "rollouts", rows)

    def checked(**settings: Any) -> Failed:
        return failed(validate_parquet(path, suite=rollouts_suite(group_size=4, **settings), docs_dir=None))

    assert checked(rewards=(0.0, 1.05), advantages_cancel=False) == {}
    assert checked(rewards=(0.0, 1.05)).keys() == {"advantages_of_a_group_cancel"}
    assert checked(rewards=(0.0, 1.0), advantages_cancel=False).keys() == {"reward_is_in_range"}
    assert checked(rewards=(-1.0, 1.05), advantages_cancel=False).keys() == {"malformed_rollout_earns_the_least"}
    assert checked(rewards=None, advantages_cancel=False) == {}, "a reward that does not say its range"


def test_a_check_that_raises_has_failed_and_says_why(tmp_path: Path) -> None:
    schema = arrow_schema(CLEAN["pairs"].record)
    schema = schema.remove(schema.get_field_index("think_tokens"))
    checks = validate(tmp_path, "pairs", CLEAN["pairs"].rows(), schema)
    assert failed(checks).keys() == {
        "columns_match_the_record",
        "column_types_match_the_record",
        "think_tokens_is_not_null",
        "think_tokens_is_positive",
    }
    observed = {check.expectation: check.observed for check in failing(checks)}
    assert observed["columns_match_the_record"] == "{'missing': ['think_tokens']}"
    assert observed["think_tokens_is_positive"].startswith("could not be decided: ")
    assert "think_tokens" in observed["think_tokens_is_positive"]


def test_a_rule_that_is_no_sql_fails_beside_rules_that_pass(tmp_path: Path) -> None:
    suite = Suite("pairs", "problem_id", (holds("is_sql", "true"), holds("is_no_sql", "prompt is is")))
    path = write(tmp_path / "table.parquet", "pairs", CLEAN["pairs"].rows())
    assert failed(validate_parquet(path, suite=suite, docs_dir=None)) == {"is_no_sql": []}


def test_at_most_twenty_rows_are_named_and_all_are_counted(tmp_path: Path) -> None:
    rows = [CLEAN["pairs"].rows()[1] | {"problem_id": f"p{i}", "prompt": " "} for i in range(30)]
    (check,) = failing(validate(tmp_path, "pairs", rows))
    assert check.observed == "30 unexpected rows"
    assert len(json.loads(check.failing_rows)) == MAX_FAILING_ROWS


def test_the_error_says_which_checks_failed_in_which_rows_and_where_the_files_are(tmp_path: Path) -> None:
    rows = CLEAN["rollouts"].rows()
    rows.pop(3)
    rows[5]["num_tokens"] = 0
    error = contract_error(validate(tmp_path, "rollouts", rows), where="quarantine/rl-1")
    message = str(pickle.loads(pickle.dumps(error)))
    assert message.startswith("rollouts: 3 of ")
    assert "num_tokens_is_positive: 1 unexpected row: s1-p1-2" in message
    assert "group_is_complete: 3 unexpected rows; step 1 problem p0: 3 rollouts: s1-p0-0, s1-p0-1" in message
    assert "quarantine/rl-1" in message


def test_docs_are_a_site_of_this_validation_alone(tmp_path: Path) -> None:
    suite = CLEAN["pairs"].suite
    path = write(tmp_path / "table.parquet", "pairs", CLEAN["pairs"].rows())
    docs_dir = tmp_path / "docs"
    validate_parquet(path, suite=suite, docs_dir=docs_dir)
    first = (docs_dir / "suite.json").read_bytes()
    validate_parquet(path, suite=suite, docs_dir=docs_dir)
    assert (docs_dir / "suite.json").read_bytes() == first
    assert len(json.loads(first)["expectations"]) == len(suite.checks)
    pages = sorted(docs_dir.rglob("*.html"))
    assert len(pages) == 3  # index, suite, one validation
    index = re.findall(r'href="([^"]+)"', (docs_dir / "index.html").read_text())
    assert {docs_dir / "index.html", *(docs_dir / link for link in index)} == set(pages)
    for page in pages:
        text = page.read_text()
        assert str(tmp_path) not in text
        assert not re.findall(r"<(?:link|script|img)[^>]*https?://", text), f"{page} loads something"
        for link in re.findall(r"(?:href|src)=\"([^\"#:]+)\"", text):
            assert (page.parent / link.split("?")[0]).exists(), f"{page}: {link}"
    assert sum(file.stat().st_size for file in docs_dir.rglob("*") if file.is_file()) < 1_000_000


def test_a_table_is_validated_on_the_callers_connection_which_stays_usable(tmp_path: Path) -> None:
    path = write(tmp_path / "table.parquet", "pairs", CLEAN["pairs"].rows())
    with duckdb.connect(str(tmp_path / "catalog.duckdb")) as con:
        con.execute(f"create table pairs as from '{path}'")
        suite = CLEAN["pairs"].suite
        assert failing(validate_table(con, table="pairs", suite=suite, docs_dir=None)) == ()
        con.execute("update pairs set prompt = '' where problem_id = 'p7'")
        found = failed(validate_table(con, table="pairs", suite=suite, docs_dir=None))
        assert found == {"prompt_is_not_blank": ["p7"]}
        con.execute("drop table pairs")


def test_many_files_in_a_folder_with_an_odd_name_are_one_table(tmp_path: Path) -> None:
    folder = tmp_path / "it's [a*] {folder}"
    folder.mkdir()
    rows = CLEAN["pairs"].rows()
    write(folder / "0.parquet", "pairs", rows[:8])
    write(folder / "1.parquet", "pairs", [row | {"think_tokens": 0} for row in rows[8:]])
    (check,) = failing(validate_parquet(folder, suite=CLEAN["pairs"].suite, docs_dir=None))
    assert check.observed == "8 unexpected rows"


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.write_bytes(b"PAR1")])
def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "table.parquet")
    with pytest.raises(ContractError, match="cannot be read as Parquet"):
        validate_parquet(tmp_path / "table.parquet", suite=CLEAN["pairs"].suite, docs_dir=None)


@pytest.mark.slow
def test_the_engine_is_imported_late_and_says_nothing(tmp_path: Path) -> None:
    def broken(row: Row) -> Row:
        return row | {"prompt": ""}

    path = write(tmp_path / "table.parquet", "pairs", [broken(row) for row in CLEAN["pairs"].rows()])
    program = (
        "import sys, pathlib\n"
        "from infra.validation.gate import failing, validate_parquet\n"
        "from infra.validation.suites import pairs_suite\n"
        "assert 'great_expectations' not in sys.modules\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "checks = validate_parquet(path, suite=pairs_suite(), docs_dir=path.parent / 'docs')\n"
        "sys.exit(len(failing(checks)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
