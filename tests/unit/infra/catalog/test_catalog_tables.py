"""What the catalog makes of evaluations: by difficulty, beside older ones, and for studies."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from infra.catalog.catalog import Catalog
from infra.catalog.catalog_tables import DATA_TABLES
from infra.catalog.query import run_query
from infra.store.artifact_store import ArtifactStore
from schemas.base import Record
from schemas.errors import ContractError
from schemas.mode import EvalMode, Mode
from schemas.records.eval_completions import EvalCompletion
from schemas.records.study_claims import StudyClaim
from tests.unit.infra.report.published import PARETO_POINT, SUMMARY, eval_completion, publish
from thinkless_core.seeding import random_stream
from thinkless_core.statistics.pareto import area_under_curve

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
    artifact = publish(
        store, "evaluate", "k1", tables={"eval_pareto": [p for points in curves.values() for p in points]}
    )
    Catalog(tmp_path, timeout_seconds=5).register(store.manifest("evaluate", "k1"), Path(artifact.path))
    found = query(tmp_path, "select model, area, low_tokens, high_tokens from eval_pareto_area where run_id = 'run-1'")
    assert len(found) == 3
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


@pytest.mark.parametrize("column", ["correct", "p_think"])
def test_a_file_without_a_column_that_was_always_there_is_refused(tmp_path: Path, column: str) -> None:
    store = ArtifactStore(tmp_path)
    artifact = publish(store, "evaluate", "cut", tables={"eval_completions": [row("cut")]})
    path = Path(artifact.path) / "eval_completions.parquet"
    pq.write_table(pq.read_table(path).drop_columns([column]), path)
    with pytest.raises(ContractError, match=rf"missing \['{column}'\], unknown \[\]"):
        Catalog(tmp_path, timeout_seconds=5).register(store.manifest("evaluate", "cut"), Path(artifact.path))


def test_columns_that_may_be_absent_are_columns_of_their_record() -> None:
    for name, table in DATA_TABLES.items():
        assert table.added <= set(table.record.model_fields), name


def test_claims_of_a_study_are_a_table_with_the_key_of_their_artifact(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    artifact = publish(store, "study", "k1", tables={"study_claims": [CLAIM]})
    Catalog(tmp_path, timeout_seconds=5).register(store.manifest("study", "k1"), Path(artifact.path))
    assert query(tmp_path, "select claim, measured, low, high, verdict, artifact_key from study_claims") == [
        ("think-share-falls", 0.7, 0.6, 0.8, "holds", "k1")
    ]
