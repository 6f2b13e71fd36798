"""A byte that is missing or wrong is noticed, said, and built again; what lies behind it stays valid."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.catalog.query import run_query
from infra.store.artifact_store import ArtifactStore
from tests.integration.conftest import BuiltHome
from tests.integration.driver import LABELS, run_pipeline

Damage = Callable[[Path], None]


def delete(path: Path) -> None:
    """Remove the file."""
    path.unlink()


def flip(path: Path) -> None:
    """Change one bit in the middle of the file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


FILES = [
    pytest.param("problems", "problems.parquet", flip, marks=pytest.mark.slow),
    ("base", "model/tokenizer.json", delete),
    ("sft", "model/model.safetensors", flip),
    pytest.param("rl", "rollouts.parquet", delete, marks=pytest.mark.slow),
    ("pairs", "manifest.json", flip),
    pytest.param("teach-short", "manifest.json", delete, marks=pytest.mark.slow),
    pytest.param("evaluate", "validation/eval_completions/index.html", flip, marks=pytest.mark.slow),
    pytest.param("report", "report.html", delete, marks=pytest.mark.slow),
]
"""One of every kind of file, each in another stage; all files and both damages are gone through below."""


@pytest.mark.parametrize(("label", "name", "damage"), FILES)
def test_a_damaged_file_is_noticed_and_its_stage_rebuilt_alone(
    home: Path, built: BuiltHome, label: str, name: str, damage: Damage, caplog: pytest.LogCaptureFixture
) -> None:
    artifact = built.run.artifacts[label]
    victim = home / "artifacts" / artifact.stage / artifact.key / name
    damage(victim)
    finished = run_pipeline(home)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any(f"{artifact.stage}/{artifact.key} is damaged" in w and victim.name in w for w in warnings), warnings
    assert finished.built == [label]
    if label != "report":  # which names the run that wrote it
        assert finished.artifacts[label].digest == artifact.digest
    # Kept aside, for whoever wants to know what happened to the disk.
    assert [p.name for p in victim.parents[name.count("/") + 1].glob("*.corrupt-*")] == [f"{artifact.key}.corrupt-1"]
    assert run_pipeline(home).built == []


@pytest.mark.parametrize("damage", [delete, flip])
def test_damage_to_every_single_file_of_every_artifact_is_noticed(
    home: Path, built: BuiltHome, damage: Damage, caplog: pytest.LogCaptureFixture
) -> None:
    store = ArtifactStore(home)
    unnoticed = []
    for label in LABELS:
        artifact = built.run.artifacts[label]
        directory = store.path(artifact.stage, artifact.key)
        for path in sorted(p for p in directory.rglob("*") if p.is_file()):
            content = path.read_bytes()
            damage(path)
            caplog.clear()
            if store.find(artifact.stage, artifact.key) is not None or path.name not in caplog.text:
                unnoticed.append(path.relative_to(home))
            shutil.rmtree(directory, ignore_errors=True)
            next(directory.parent.glob(f"{artifact.key}.corrupt-*")).rename(directory)
            path.write_bytes(content)
            assert store.find(artifact.stage, artifact.key) is not None, "the test did not mend what it broke"
    assert unnoticed == []


@pytest.mark.slow
def test_a_deleted_artifact_is_rebuilt_to_the_same_weights(home: Path, built: BuiltHome) -> None:
    shutil.rmtree(home / "artifacts" / "rl")
    finished = run_pipeline(home)
    assert finished.built == ["rl"]
    weights = Path("artifacts") / "rl" / finished.artifacts["rl"].key / "model" / "model.safetensors"
    assert _sha256(home / weights) == _sha256(built.path / weights)


@pytest.mark.parametrize("damage", [delete, flip, lambda path: path.write_bytes(b"no database")])
def test_a_damaged_catalog_is_rebuilt_from_the_artifacts(home: Path, damage: Damage) -> None:
    rows = "select stage, key, digest, rows from artifacts order by all"
    before = run_query(home, rows, timeout_seconds=20).to_pylist()
    catalog = home / "catalog.duckdb"
    if damage is flip:  # in the header, which DuckDB checks at once
        content = bytearray(catalog.read_bytes())
        content[4096 + 20] ^= 1
        catalog.write_bytes(content)
    else:
        damage(catalog)
    assert run_query(home, rows, timeout_seconds=20).to_pylist() == before


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
