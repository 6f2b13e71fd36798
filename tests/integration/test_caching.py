"""What is done once is not done again, and what changed is done again with all that depends on it: no more, no less."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.catalog.query import run_query
from infra.store.artifact_store import ArtifactStore
from schemas.errors import ConfigError, MissingArtifactError
from tests.integration.conftest import BuiltHome
from tests.integration.driver import LABELS, run_pipeline


def test_the_first_run_builds_every_stage_once(built: BuiltHome) -> None:
    assert built.run.built == list(LABELS)
    events = [json.loads(line) for line in (built.path / "lineage" / "events.jsonl").read_text().splitlines()]
    assert sorted(event["eventType"] for event in events) == ["COMPLETE"] * len(LABELS) + ["START"] * len(LABELS)


def test_a_second_identical_run_finds_everything_in_the_store(built: BuiltHome, home: Path) -> None:
    again = run_pipeline(home)
    assert again.built == []
    assert [a.digest for a in again.artifacts.values()] == [a.digest for a in built.run.artifacts.values()]
    # Nothing was written over: the artifacts still name the run that built them.
    assert {m.run_id for m in ArtifactStore(home).manifests()} == {built.run.run_id}


def test_a_hit_is_counted_in_the_catalog(home: Path) -> None:
    run_pipeline(home)
    hits = run_query(home, "select distinct cached_hits from artifacts", timeout_seconds=20).to_pylist()
    assert hits == [{"cached_hits": 1}]


@pytest.mark.parametrize(
    ("override", "rebuilt"),
    [
        pytest.param("rl.seed=7", ["rl", "evaluate", "report"], marks=pytest.mark.slow),
        pytest.param("sft.seed=7", ["sft", "rl", "evaluate", "report"], marks=pytest.mark.slow),
        pytest.param("evaluate.temperature=0.7", ["evaluate", "report"], marks=pytest.mark.slow),
        pytest.param("report.title=Another", ["report"], marks=pytest.mark.slow),
        pytest.param("problems.seed=7", [label for label in LABELS if label != "base"], marks=pytest.mark.slow),
        ("teach.short.max_tokens=9", ["teach-short"]),
    ],
)
def test_a_changed_key_rebuilds_what_depends_on_it_and_nothing_else(
    home: Path, override: str, rebuilt: list[str]
) -> None:
    """The short teacher's limit changes no byte of its answers here, so nothing after it is built."""
    assert run_pipeline(home, override).built == rebuilt


def test_going_back_to_an_earlier_configuration_costs_nothing(home: Path) -> None:
    run_pipeline(home, "sft.seed=7", until="sft")
    assert run_pipeline(home).built == []


def test_refresh_rebuilds_one_stage_and_stops_where_the_bytes_are_the_same(home: Path, built: BuiltHome) -> None:
    again = run_pipeline(home, refresh=["rl"])
    assert again.built == ["rl"]
    assert again.artifacts["rl"].digest == built.run.artifacts["rl"].digest
    assert ArtifactStore(home).manifest("rl", again.artifacts["rl"].key).run_id == again.run_id


@pytest.mark.slow
def test_refresh_of_teach_rebuilds_both_sides(home: Path) -> None:
    assert run_pipeline(home, refresh=["teach"]).built == ["teach-think", "teach-short"]


def test_until_stops_behind_its_stage(home: Path) -> None:
    finished = run_pipeline(home, "sft.seed=7", until="sft")
    assert finished.built == ["sft"]
    assert list(finished.artifacts) == list(LABELS[:6])
    assert len(list((home / "artifacts" / "rl").iterdir())) == 1


def test_only_builds_its_stage_from_what_the_store_holds(home: Path) -> None:
    assert run_pipeline(home, "rl.seed=7", only="rl").built == ["rl"]


def test_only_refuses_to_build_what_comes_before(home: Path) -> None:
    with pytest.raises(MissingArtifactError, match=r"stage sft \(\w+\) is not in the store.*--until rl") as caught:
        run_pipeline(home, "sft.seed=7", only="rl")
    assert caught.value.exit_code == 2
    assert len(list((home / "artifacts" / "sft").iterdir())) == 1


def test_until_and_only_together_are_refused(home: Path) -> None:
    with pytest.raises(ConfigError, match="contradict"):
        run_pipeline(home, until="sft", only="rl")


def test_a_home_that_moved_is_still_whole(home: Path, tmp_path: Path) -> None:
    moved = home.rename(tmp_path / "moved")
    assert run_pipeline(moved).built == []
    paths = run_query(moved, "select path from artifacts", timeout_seconds=20).column("path").to_pylist()
    assert all(Path(path).is_relative_to(moved) for path in paths)


@pytest.mark.slow
def test_two_fresh_homes_come_to_the_same_bytes(built: BuiltHome, tmp_path: Path) -> None:
    elsewhere = run_pipeline(tmp_path / "another", until="evaluate")
    assert {label: a.digest for label, a in elsewhere.artifacts.items()} == {
        label: a.digest for label, a in built.run.artifacts.items() if label != "report"
    }
