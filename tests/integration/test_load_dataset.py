"""`datasets.load_dataset(FOLDER)` of an artifact gives its tables, and nothing that lies beside them."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from infra.store.artifact_store import ArtifactStore
from tests.integration.conftest import BuiltHome
from tests.integration.driver import LABELS


@pytest.mark.parametrize("label", [label for label in LABELS if label not in ("base", "report")])
def test_every_table_with_rows_loads_by_its_name(built: BuiltHome, label: str, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    artifact = built.run.artifacts[label]
    files = ArtifactStore(built.path).manifest(artifact.stage, artifact.key).files
    tables = {file.table: Path(artifact.path) / file.name for file in files if file.table and file.rows}
    assert set(datasets.get_dataset_config_names(artifact.path)) == set(tables)
    for table, file in tables.items():
        loaded = datasets.load_dataset(artifact.path, table, cache_dir=str(tmp_path))
        assert list(loaded) == ["train"]
        assert loaded["train"].to_list() == pq.read_table(file).to_pylist()


def test_the_first_table_is_the_default_one(built: BuiltHome, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    problems = built.run.artifacts["problems"]
    assert (Path(problems.path) / "validation" / "problems" / "index.html").is_file(), (
        "what a loader could stumble over"
    )
    loaded = datasets.load_dataset(problems.path, split="train", cache_dir=str(tmp_path))
    assert len(loaded) == problems.rows


def test_the_card_of_the_tables_counts_for_no_later_stage(built: BuiltHome) -> None:
    pairs = built.run.artifacts["pairs"]
    files = ArtifactStore(built.path).manifest("pairs", pairs.key).files
    assert {file.name: file.role for file in files}["README.md"] == "log"
