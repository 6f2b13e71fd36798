"""From any reference to an artifact, and from there up to the origin and down to what became of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.catalog.catalog import Catalog
from infra.catalog.lineage import (
    ArtifactName,
    ancestors,
    descendants,
    format_lineage,
    resolve,
)
from infra.catalog.query import run_query
from infra.catalog.sql_text import sql_text
from infra.report.data.wording import counted
from infra.store.artifact_store import ArtifactStore
from schemas.artifact import Artifact
from schemas.errors import MissingArtifactError
from tests.unit.infra.report.published import build_home, eval_completion, publish

Home = tuple[Path, dict[str, Artifact]]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A whole pipeline that no test changes."""
    path = tmp_path_factory.mktemp("home")
    return path, build_home(path)


def name_of(artifact: Artifact) -> ArtifactName:
    return ArtifactName(artifact.stage, artifact.key)


def test_a_reference_may_be_a_key_a_prefix_a_stage_both_or_an_evaluation_row(pipeline: Home) -> None:
    home, made = pipeline
    rl = made["rl"]
    for ref in (rl.key, rl.key[:4], rl.key[:6], f"rl/{rl.key}", f"rl/{rl.key[:4]}", "rl"):
        assert resolve(ref, home) == name_of(rl)
    assert resolve("c-sft", home) == name_of(made["evaluate"])


def test_a_stage_means_its_newest_artifact(pipeline: Home) -> None:
    home, made = pipeline
    assert resolve("teach", home) == name_of(made["teach_short"])
    assert resolve("teach-think", home) == name_of(made["teach_think"])


def test_a_row_in_two_evaluations_means_the_newer_one(tmp_path: Path) -> None:
    store, catalog = ArtifactStore(tmp_path), Catalog(tmp_path, timeout_seconds=5)
    for key, day in (("newer", "22"), ("older", "21")):
        artifact = publish(
            store,
            "evaluate",
            key,
            tables={"eval_completions": [eval_completion("c-1", model="rl")]},
            created_at=f"2026-11-{day}T00:00:00+00:00",
        )
        catalog.register(store.manifest("evaluate", key), Path(artifact.path))
    assert resolve("c-1", tmp_path) == ArtifactName("evaluate", "newer")


@pytest.mark.parametrize("ref", ["000", "zzzz", "rl/zzzz", "nostage", "sft/0006rl", "", "/"])
def test_what_means_nothing_is_refused_with_the_known_stages(pipeline: Home, ref: str) -> None:
    with pytest.raises(MissingArtifactError, match=r"nothing is known as.*expected a key"):
        resolve(ref, pipeline[0])


def test_a_stage_misspelt_is_corrected(pipeline: Home) -> None:
    with pytest.raises(MissingArtifactError, match="did you mean 'problems'"):
        resolve("problem", pipeline[0])


def test_an_ambiguous_prefix_lists_what_it_may_mean(tmp_path: Path) -> None:
    store, catalog = ArtifactStore(tmp_path), Catalog(tmp_path, timeout_seconds=5)
    for key in ("abcd1111", "abcd2222", "abcde"):
        artifact = publish(store, "rl", key)
        catalog.register(store.manifest("rl", key), Path(artifact.path))
    with pytest.raises(MissingArtifactError, match="means 3 artifacts: rl/abcd1111, rl/abcd2222, rl/abcde"):
        resolve("abcd", tmp_path)
    assert resolve("abcd1", tmp_path) == ArtifactName("rl", "abcd1111")


def test_a_whole_key_is_never_ambiguous(tmp_path: Path) -> None:
    store, catalog = ArtifactStore(tmp_path), Catalog(tmp_path, timeout_seconds=5)
    for key in ("abcd1", "abcd"):
        artifact = publish(store, "rl", key)
        catalog.register(store.manifest("rl", key), Path(artifact.path))
    assert resolve("abcd", tmp_path) == ArtifactName("rl", "abcd")


def test_ancestors_are_all_stages_above_and_descendants_all_below(pipeline: Home) -> None:
    home, made = pipeline
    up = ancestors(name_of(made["sft"]), home)
    assert (up[0].depth, up[0].key, up[0].from_key) == (0, made["sft"].key, None)
    assert {step.key for step in up} == {
        made[name].key for name in ("sft", "base", "pairs", "problems", "teach_think", "teach_short")
    }
    assert {(step.stage, step.depth) for step in up if step.from_key == made["pairs"].key} == {
        ("problems", 2),
        ("teach", 2),
    }
    down = descendants(name_of(made["sft"]), home)
    assert [(step.depth, step.stage, step.from_stage) for step in down] == [
        (0, "sft", None),
        (1, "evaluate", "sft"),
        (1, "rl", "sft"),
        (2, "evaluate", "rl"),
    ]
    assert not any(step.rebuilt_since for step in up + down)
    assert {step.digest for step in up} == {
        artifact.digest for artifact in made.values() if artifact.key in {step.key for step in up}
    }


def test_the_tree_names_every_artifact_and_draws_no_branch_twice(pipeline: Home) -> None:
    home, made = pipeline
    name = name_of(made["evaluate"])
    text = format_lineage(name, ancestors=ancestors(name, home), descendants=descendants(name, home))
    lines = text.split("\n")
    assert lines[0] == f"evaluate/{name.key} was made from"
    for artifact in made.values():
        assert f" {artifact.key[:8]}  {counted(artifact.rows, 'row')}  digest {artifact.digest[:12]}" in text
    for label in ("teach-think 0002teac", "teach-short 0003teac"):
        assert label in text
    assert sum("pairs 0004pair" in line and "row" in line for line in lines) == 1
    assert "2026-11-21 10:04:00 UTC  run run-1" in text
    assert lines[-2:] == [f"made from evaluate/{name.key}", "  nothing yet"]


def test_a_parent_that_was_rebuilt_with_other_bytes_is_marked_in_both_directions(tmp_path: Path) -> None:
    store, catalog = ArtifactStore(tmp_path), Catalog(tmp_path, timeout_seconds=5)
    old = publish(store, "sft", "sft-key", payload="old")
    child = publish(store, "rl", "rl-key", inputs=(old,))
    new = publish(store, "sft", "sft-key", payload="new")
    for artifact in (child, new):
        catalog.register(store.manifest(artifact.stage, artifact.key), Path(artifact.path))
    assert [step.rebuilt_since for step in ancestors(name_of(child), tmp_path)] == [False, True]
    assert [step.rebuilt_since for step in descendants(name_of(new), tmp_path)] == [False, True]
    text = format_lineage(name_of(child), ancestors=ancestors(name_of(child), tmp_path), descendants=[])
    assert "PARENT REBUILT SINCE" in text


def test_a_parent_that_is_gone_is_still_named(tmp_path: Path) -> None:
    store, catalog = ArtifactStore(tmp_path), Catalog(tmp_path, timeout_seconds=5)
    child = publish(store, "rl", "rl-key", inputs=(Artifact(stage="sft", key="gone", digest="d", path="", rows=0),))
    catalog.register(store.manifest("rl", "rl-key"), Path(child.path))
    text = format_lineage(name_of(child), ancestors=ancestors(name_of(child), tmp_path), descendants=[])
    assert "sft gone  no longer in the store" in text


@pytest.mark.parametrize("down", [False, True])
def test_every_query_says_first_what_one_row_is_and_runs_as_it_stands(pipeline: Home, down: bool) -> None:
    text = sql_text("lineage")
    assert text.startswith("-- One row: ")
    assert run_query(pipeline[0], text, timeout_seconds=5, parameters={"key": "unknown", "down": down}).num_rows == 0
