"""Runs a suite over a table: which checks fail, and in which rows. A table that fails is not published.

Parquet -> view in an in-memory DuckDB -> Great Expectations -> one CheckResult per check -> ContractError.
A check that raises, or of which no result came back, has failed.
"""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb

from infra.catalog.catalog_file import short_of_memory
from infra.validation.checks import Check, Suite
from schemas.artifact import CheckResult
from schemas.errors import ContractError

MAX_FAILING_ROWS = 20
"""Rows named per check."""
_LOADED = re.compile(
    r"<link[^>]*static/images/[^>]*>|<link[^>]*https?://[^>]*>|<img[^>]*https?://[^>]*>"
    r"|<script[^>]*src=\"https?://[^>]*>\s*</script>"
)
_LIMITS = {"memory_limit": "2GB", "threads": 1}
"""A thread holds 2,048 rows at a time, or a row group if it has fewer. Two threads were 1.4 to 1.8 times as fast on
99,000 texts of 18 kB, and took 320 to 350 MB more."""
_READ_STATISTICS = "filter_pushdown,statistics_propagation"
_STYLE = """<style>
:root { color-scheme: light dark; } a { color: LinkText !important; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 1rem 1.5rem; overflow-wrap: anywhere; }
nav { height: auto !important; } .container { padding-top: 0; } footer { display: none; }
table { border-collapse: collapse; }
td, th { border: 1px solid; padding: .2rem .6rem; text-align: left; vertical-align: top; word-break: normal; }
pre, code { white-space: pre-wrap; }
</style>
</head>"""
_INDEX = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Data Docs of {suite}</title>
</head>
<body><h1>Data Docs of {suite}</h1><ul>{pages}</ul></body>
</html>
"""
"""What Great Expectations writes as an index is empty without scripts from the network."""


def validate_parquet(
    path: Path, *, suite: Suite, docs_dir: Path | None, scratch: Path | None = None
) -> tuple[CheckResult, ...]:
    """Validate one Parquet file, or all Parquet files of a directory, in memory that does not grow with their texts.

    The rows are looked at through a view: every check reads the columns that it needs. Statistics in a Parquet file
    leave NaN out, and DuckDB believes them, so that NaN would be hidden; its optimizers that read statistics are
    therefore off. What does not fit in memory goes to `scratch`, by default to the system's temporary directory. Raises
    ContractError if there is nothing that can be read as Parquet, StoreError if the disk is full or memory too small.
    """
    # Square brackets and stars in a directory's name are part of the name.
    pattern = glob.escape(str(path)) + ("/*.parquet" if path.is_dir() else "")
    source = "'" + pattern.replace("'", "''") + "'"
    with (
        tempfile.TemporaryDirectory(prefix="thinkless-validation-", dir=scratch) as spill,
        duckdb.connect(":memory:", config={**_LIMITS, "temp_directory": spill}) as con,
    ):
        con.execute(f"set disabled_optimizers = '{_READ_STATISTICS}'")
        try:
            con.execute(f'create view "{suite.name}" as from read_parquet({source})')
        except duckdb.Error as error:
            raise ContractError(
                f"{suite.name}: {path} cannot be read as Parquet ({_first_line(error)}); "
                "delete it and let its stage write it again"
            ) from error
        checks = validate_table(con, table=suite.name, suite=suite, docs_dir=docs_dir)
    for check in checks:  # a rule that could not be decided is a fault of the rows only if the machine sufficed
        if "Out of Memory Error" in check.observed:
            raise short_of_memory(check.observed, path=path, doing=f"check {check.expectation} in")
    return checks


def validate_table(
    con: duckdb.DuckDBPyConnection, *, table: str, suite: Suite, docs_dir: Path | None
) -> tuple[CheckResult, ...]:
    """Validate a table or view on a connection that is already open; one result per check, in suite order.

    It must be committed and not temporary, and a view over Parquet needs the settings of validate_parquet. With
    `docs_dir`, Data Docs of this validation alone and the suite as JSON are written there; older ones go.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    # Here and not above, because this import takes seconds.
    import great_expectations as gx

    from infra.validation.gx_duckdb import whole_table

    if docs_dir is not None:
        for name in ("expectations", "validations", "static"):
            shutil.rmtree(docs_dir / name, ignore_errors=True)
    with whole_table(con, table=table, docs_dir=docs_dir) as opened:
        expectations = _gx_suite(gx, suite)
        as_json = expectations.to_json_dict()
        opened.context.suites.add(expectations)
        definition = gx.ValidationDefinition(name=suite.name, data=opened.batch_definition, suite=expectations)
        outcome = opened.context.validation_definitions.add(definition).run(result_format="BASIC")
        if docs_dir is not None:
            opened.context.build_data_docs()
            _tidy_docs(docs_dir, as_json)
    found = {result.expectation_config.meta["name"]: result for result in outcome.results}
    return tuple(_result(con, table, suite, check, found.get(check.name)) for check in suite.checks)


def failing(checks: Iterable[CheckResult]) -> tuple[CheckResult, ...]:
    """The checks that did not pass."""
    return tuple(check for check in checks if not check.success)


def contract_error(checks: Iterable[CheckResult], *, where: str) -> ContractError:
    """The error for a table that failed: every failed check, its rows, where the rejected files are kept."""
    checks = tuple(checks)
    failed = failing(checks)
    assert failed, "a table that passed its suite has no contract error"
    lines = [
        f"{failed[0].suite}: {len(failed)} of {len(checks)} checks failed, so nothing was published",
        *(f"  {check.expectation}: {check.observed}{_named(check)}" for check in failed),
        f"the rejected files are kept in {where}; look at these rows there, "
        "then correct the source or the settings of the stage and launch again",
    ]
    return ContractError("\n".join(lines))


def _named(check: CheckResult) -> str:
    rows = json.loads(check.failing_rows)
    more = ", ..." if len(rows) == MAX_FAILING_ROWS else ""
    return f": {', '.join(rows)}{more}" if rows else ""


def _gx_suite(gx: Any, suite: Suite) -> Any:
    """The suite in Great Expectations' own terms."""
    expectations = gx.ExpectationSuite(name=suite.name)
    for check in suite.checks:
        kwargs = dict(check.kwargs)
        if check.expectation == "UnexpectedRowsExpectation":
            # The Data Docs show the check's name only through this comment.
            kwargs["unexpected_rows_query"] = (
                f"/* {check.name} */ select {suite.id_column} from {{batch}} where {check.where}"
            )
        kind = getattr(gx.expectations, check.expectation)
        expectations.add_expectation(kind(**kwargs, meta={"name": check.name}))
    return expectations


def _result(
    con: duckdb.DuckDBPyConnection,
    table: str,
    suite: Suite,
    check: Check,
    result: Any | None,
) -> CheckResult:
    """One check as it came out, with the rows named if it failed."""
    if result is None:
        success, observed = False, "no result came back"
    elif problem := _exception(result.exception_info):
        success, observed = False, f"could not be decided: {problem}"
    else:
        counts_rows = check.expectation.startswith("ExpectTableRowCount")
        success, observed = result.success is True, _observed(result.result, unexpected=not counts_rows)
    rows: list[str] = []
    if not success:
        rows = _failing_rows(con, table, suite, check)
        observed += "".join(f"; {line}" for line in _detail(con, table, check))
    return CheckResult(
        suite=suite.name,
        expectation=check.name,
        success=success,
        observed=observed,
        failing_rows=json.dumps(rows, ensure_ascii=False),
    )


def _exception(info: dict[str, Any] | None) -> str | None:
    """The message of an exception inside an expectation: one for all of it, or one per metric it needs."""
    if not info:
        return None
    for part in (info, *info.values()):
        if isinstance(part, dict) and part.get("raised_exception"):
            return _first_line(part.get("exception_message") or "no message")
    return None


def _observed(result: dict[str, Any], *, unexpected: bool) -> str:
    """A row rule's count of unexpected rows, the rows of the table, or what else a rule about it saw."""
    if "unexpected_count" in result:
        count = result["unexpected_count"]
    elif isinstance(result.get("observed_value"), int):
        count = result["observed_value"]
    else:
        details = result.get("details") or {}
        return str(details.get("mismatched") or result.get("observed_value"))
    return f"{count} {'unexpected ' if unexpected else ''}row{'' if count == 1 else 's'}"


def _failing_rows(con: duckdb.DuckDBPyConnection, table: str, suite: Suite, check: Check) -> list[str]:
    """Identifiers of the failing rows; a row without one is named by its position, counted from 1."""
    if check.where is None:
        return []
    query = (
        f"select distinct coalesce(cast({suite.id_column} as varchar), 'row ' || position) as id "
        f"from (select *, row_number() over () as position from {{batch}}) where {check.where} "
        f"order by id limit {MAX_FAILING_ROWS}"
    )
    return _texts(con, table, query)


def _detail(con: duckdb.DuckDBPyConnection, table: str, check: Check) -> list[str]:
    return _texts(con, table, check.detail) if check.detail else []


def _texts(con: duckdb.DuckDBPyConnection, table: str, query: str) -> list[str]:
    try:
        return [str(text) for (text,) in con.execute(query.replace("{batch}", f'"{table}"')).fetchall()]
    except duckdb.Error:
        return []  # the table lacks the columns: the check has failed already, and says so


def _first_line(message: object) -> str:
    return str(message).strip().splitlines()[0][:300]


def _tidy_docs(docs_dir: Path, suite: dict[str, Any]) -> None:
    """Pages and suite only, and pages that load nothing: they are read without a network, and years later.

    The rest is 4 MB of animations and fonts that no page shows.
    """
    shutil.rmtree(docs_dir / "static", ignore_errors=True)
    pages = sorted(docs_dir.glob("*/**/*.html"), reverse=True)
    names = {"validations": "how the rows came out", "expectations": "what was expected of them"}
    links = [page.relative_to(docs_dir) for page in pages]
    listed = "".join(f'<li><a href="{link.as_posix()}">{names[link.parts[0]]}</a></li>' for link in links)
    (docs_dir / "index.html").write_text(_INDEX.format(suite=suite["name"], pages=listed))
    for page in docs_dir.rglob("*.html"):
        page.write_text(_LOADED.sub("", page.read_text()).replace("</head>", _STYLE, 1))
    for expectation in suite["expectations"]:
        expectation.pop("id", None)
    suite.pop("id", None)
    (docs_dir / "suite.json").write_text(json.dumps(suite, indent=1, sort_keys=True) + "\n")
