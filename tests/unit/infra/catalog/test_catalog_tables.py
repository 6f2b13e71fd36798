"""What the catalog makes of evaluations: by difficulty, beside older ones, and for studies."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from flows.cli import main
from infra.catalog import catalog_tables
from infra.catalog.catalog import Catalog
from infra.catalog.catalog_tables import create_views, views
from infra.catalog.query import run_query
from infra.report.data.in_memory_tables import connect, read_rows
from infra.store.artifact_store import ArtifactStore
from schemas import records
from schemas.base import Record, records_to_table
from schemas.mode import EvalMode, Mode
from schemas.records.eval_completions import EvalCompletion
from schemas.records.eval_summary import EvalSummary
from schemas.records.problems import Problem
from schemas.records.study_claims import StudyClaim
from schemas.tables import TABLES
from tests.oracles.statistics import area_under_curve
from tests.unit.infra.report.published import PARETO_POINT, PROBLEM, SUMMARY, eval_completion, publish
from thinkless_core.seeding import random_stream

CLAIM = StudyClaim(
    study="claims",
    claim="think-share-falls",
    statement="think share falls by 50 to 90%",
    condition="tiny-easy",
    quantity="fall of the think share",
    measured=0.7,
    low=0.6,
    high=0.8,
    num_seeds=5,
    verdict="holds",
    note="",
)


def row(name: str, **changes: object) -> EvalCompletion:
    return eval_completion(name, model="rl").model_copy(update=changes)


def query(home: Path, sql: str) -> list[tuple[object, ...]]:
    return [tuple(found.values()) for found in run_query(home, sql, timeout_seconds=5).to_pylist()]


def test_accuracy_share_and_tokens_are_shown_by_difficulty_and_mode(tmp_path: Path) -> None:
    completions = [
        row("easy-1", difficulty=1),
        row("easy-2", difficulty=1, correct=False, chosen_mode=Mode.THINK, num_tokens=9, p_think=0.75),
        row("easy-3", difficulty=1, mode=EvalMode.SHORT, p_think=0.75),
        row("hard-1", difficulty=4, correct=False, chosen_mode=None, malformed=True, num_tokens=5),
        row("unknown", difficulty=None),
    ]
    store, catalog = ArtifactStore(tmp_path), Catalog(tmp_path, timeout_seconds=5)
    for key in ("first", "second"):
        artifact = publish(store, "evaluate", key, tables={"eval_completions": list(completions)}, run_id=f"run-{key}")
        catalog.register(store.manifest("evaluate", key), Path(artifact.path))
    columns = "difficulty, mode, n, accuracy, accuracy_paper, think_share, mean_p_think, mean_tokens"
    assert query(
        tmp_path,
        f"select {columns} from eval_by_difficulty where run_id = 'run-first' and model = 'rl' "
        "and benchmark = 'chains' and artifact_key = 'first' order by difficulty nulls last, mode",
    ) == [
        (1, "auto", 2, 0.5, 1.0, 0.5, 0.5, 6.0),
        (1, "short", 1, 1.0, 1.0, 0.0, 0.75, 3.0),
        (4, "auto", 1, 0.0, 1.0, 0.0, 0.25, 5.0),
        (None, "auto", 1, 1.0, 1.0, 0.0, 0.25, 3.0),
    ]
    assert query(tmp_path, "select count(*), count(distinct artifact_key) from eval_by_difficulty") == [(8, 2)]


def test_the_area_of_every_curve_is_the_one_that_is_calculated_from_its_points(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    stream = random_stream("curves", 0)
    curves: dict[str, list[Record]] = {
        model: [
            PARETO_POINT.model_copy(update={"model": model, "mean_tokens": float(t), "accuracy": float(a)})
            for t, a in zip(stream.integers(3, 12, size=9), stream.random(9), strict=True)
        ]
        for model in ("base", "sft", "rl")
    }
    curves["rl"] = curves["rl"][:1]  # no width: the accuracy of its point
    hand_made = [(9.0, 0.6), (3.0, 0.4), (5.0, 0.8), (3.0, 0.1)]
    curves["hand"] = [
        PARETO_POINT.model_copy(update={"model": "hand", "mean_tokens": t, "accuracy": a}) for t, a in hand_made
    ]
    artifact = publish(
        store, "evaluate", "k1", tables={"eval_pareto": [p for points in curves.values() for p in points]}
    )
    Catalog(tmp_path, timeout_seconds=5).register(store.manifest("evaluate", "k1"), Path(artifact.path))
    found = query(tmp_path, "select model, area, low_tokens, high_tokens from eval_pareto_area where run_id = 'run-1'")
    assert len(found) == 4
    # 3 to 5: mean 0.6 over 2; 5 to 9: 0.8, as the dearer point is worse: (1.2 + 3.2) / 6
    assert next(area for model, area, *_ in found if model == "hand") == pytest.approx(4.4 / 6)
    for model, *measured in found:
        points = [(p.mean_tokens, p.accuracy) for p in curves[str(model)]]  # type: ignore[attr-defined]
        tokens = [t for t, _ in points]
        expected = area_under_curve(tokens, [a for _, a in points]), min(tokens), max(tokens)
        assert measured == pytest.approx(expected)


def test_an_evaluation_from_before_a_column_was_added_stays_in_the_catalog(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    tables = {"eval_completions": [row("old")], "eval_summary": [SUMMARY]}
    older = {"eval_completions": "correct_paper", "eval_summary": "accuracy_paper"}
    artifact = publish(store, "evaluate", "old", tables=tables)
    for table, column in older.items():
        path = Path(artifact.path) / f"{table}.parquet"
        pq.write_table(pq.read_table(path).drop_columns([column]), path)
    Catalog(tmp_path, timeout_seconds=5).register(store.manifest("evaluate", "old"), Path(artifact.path))
    assert query(tmp_path, "select completion_id, correct, correct_paper from eval_completions") == [
        ("old", True, None)
    ]
    assert query(tmp_path, "select accuracy, accuracy_paper, run_id from eval_summary") == [(1.0, None, "run-1")]


class WiderSummary(EvalSummary):
    """The result table with one column more."""

    median_tokens: float | None = None


def test_a_new_column_needs_its_record_alone_and_older_files_read_as_null(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THINKLESS_HOME", str(tmp_path))
    store, catalog = ArtifactStore(tmp_path), Catalog(tmp_path, timeout_seconds=5)
    old = publish(store, "evaluate", "old", tables={"eval_summary": [SUMMARY]})
    catalog.register(store.manifest("evaluate", "old"), Path(old.path))

    monkeypatch.setitem(TABLES, "eval_summary", WiderSummary)  # the catalog on disk is of before and is rebuilt
    wider = WiderSummary(**SUMMARY.model_dump(), median_tokens=2.5)
    new = publish(store, "evaluate", "new", tables={"eval_summary": [wider]})
    catalog.register(store.manifest("evaluate", "new"), Path(new.path))
    question = "select artifact_key, median_tokens from eval_summary order by 1"
    assert main(["sql", "--format", "json", question]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"artifact_key": "new", "median_tokens": 2.5},
        {"artifact_key": "old", "median_tokens": None},
    ]
    files = [Path(artifact.path) / "eval_summary.parquet" for artifact in (old, new)]
    with connect({"eval_summary": files}, schemas=TABLES) as connection:
        found = read_rows(connection, "eval_summary", WiderSummary, order="median_tokens nulls first")
    assert found == [WiderSummary(**SUMMARY.model_dump()), wider]


def test_a_row_of_an_older_file_takes_the_default_of_a_column_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "problems.parquet"
    pq.write_table(records_to_table(Problem, [PROBLEM]).drop_columns(["instruction"]), path)
    with connect({"problems": [path]}, schemas=TABLES) as connection:
        assert read_rows(connection, "problems", Problem) == [PROBLEM]


def test_tables_have_the_names_of_the_files_that_define_them() -> None:
    folder = Path(records.__path__[0])
    assert {name: record.__module__ for name, record in TABLES.items()} == {
        path.stem: f"schemas.records.{path.stem}" for path in folder.glob("*.py") if path.stem != "__init__"
    }
    assert len({record.FILE for record in TABLES.values()}) == len(TABLES)


@pytest.mark.parametrize("name", sorted(views()))
def test_every_view_says_first_what_one_row_is_and_can_be_asked(tmp_path: Path, name: str) -> None:
    assert views()[name].startswith("-- One row: ")
    Catalog(tmp_path, timeout_seconds=5).open_or_rebuild()
    assert query(tmp_path, f"select * from {name}") == []


def test_a_view_may_read_one_that_comes_later_in_the_alphabet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_tables, "views", lambda: {"a": "select x + 1 as x from b", "b": "select 1 as x"})
    with duckdb.connect(":memory:") as connection:
        create_views(connection, ["a", "b"])
        assert connection.execute("from a").fetchall() == [(2,)]


def test_a_view_that_reads_what_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_tables, "views", lambda: {"a": "select 1 from nowhere", "b": "select 1 as x"})
    with duckdb.connect(":memory:") as connection, pytest.raises(duckdb.CatalogException, match="nowhere"):
        create_views(connection, ["a", "b"])


def test_claims_of_a_study_are_a_table_with_the_key_of_their_artifact(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    artifact = publish(store, "study", "k1", tables={"study_claims": [CLAIM]})
    Catalog(tmp_path, timeout_seconds=5).register(store.manifest("study", "k1"), Path(artifact.path))
    assert query(tmp_path, "select claim, measured, low, high, verdict, artifact_key from study_claims") == [
        ("think-share-falls", 0.7, 0.6, 0.8, "holds", "k1")
    ]
