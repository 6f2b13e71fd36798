"""`thinkless study` killed in the middle: what is finished is not repeated, what was under way goes on.

copy of the built home (its warm-up is the study's) -> study of two conditions and two seeds -> kill -9 -> show -> again
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.catalog.query import run_query
from infra.runs import list_runs
from infra.store.artifact_store import ArtifactStore
from tests.integration.conftest import BuiltHome
from tests.integration.driver import SMALL
from tests.integration.processes import (
    Said,
    environment,
    family_of,
    fresh_command,
    kill_9,
    started,
    still_alive,
    wait_until,
)
from tests.integration.test_kill_and_resume import first_progress, newest_checkpoint

STUDY = """
title = "Two objectives"
overrides = ['evaluate.models=["rl"]', "rl.steps=60"]

[benchmarks]
easy = "tiny-easy"
mixed = "tiny-mixed"
hard = "tiny-hard"

[conditions.degrpo]
about = "decoupled"

[conditions.grpo]
about = "not decoupled"
overrides = ["rl.objective=grpo"]

[[claims]]
claim = "think-share-falls"
conditions = { policy = "degrpo" }

[[claims]]
claim = "reaches-oracle"
conditions = { policy = "grpo" }
"""
GONE_AFTER_SECONDS = 15.0
OVERRIDES = tuple(override for override in SMALL if not override.startswith("rl.steps="))
"""Overrides of the command line come after those of the study, which has its own number of steps."""


@dataclass(frozen=True)
class KilledStudy:
    """A study that was killed in its second member and launched again."""

    home: Path
    words: list[str]
    """Its arguments."""
    finished_before: dict[str, str]
    """Key of each policy that was finished at the kill -> the run that built it."""
    checkpoint: int
    """Step of the second member's newest checkpoint at the kill."""
    shown: Said
    """What `--show` said between the kill and the second launch."""
    again: Said
    """The second launch."""


@pytest.fixture(scope="module")
def killed(built: BuiltHome, tmp_path_factory: pytest.TempPathFactory) -> KilledStudy:
    """One member at a time, so that at the kill one is finished and one is under way."""
    folder = tmp_path_factory.mktemp("study")
    home, log, path = folder / "home", folder / "study.log", folder / "two.toml"
    shutil.copytree(built.path, home)
    path.write_text(STUDY, encoding="utf-8")
    words = [str(path), "--seeds", "2", *(word for override in OVERRIDES for word in ("--set", override))]
    policies, evaluations = home / "artifacts" / "rl", home / "artifacts" / "evaluate"
    with started(["-m", "flows.cli", "study", *words, "--jobs", "1"], log=log, env=environment(home)) as process:
        wait_until(
            lambda: len(list(evaluations.glob("*/manifest.json"))) == 2 and newest_checkpoint(policies) >= 4,
            process=process,
            log=log,
        )
        family = family_of(process.pid)
        kill_9(process)
        assert still_alive(family, after_seconds=GONE_AFTER_SECONDS) == [], "a member outlived its study"
    finished = {m.key: m.run_id for m in ArtifactStore(home).manifests() if m.stage == "rl"}
    checkpoint = newest_checkpoint(policies)
    shown, again = (fresh_command(["study", *words, *more], env=environment(home)) for more in (["--show"], []))
    return KilledStudy(home, words, finished, checkpoint, shown, again)


@pytest.mark.slow
def test_no_finished_member_is_repeated(killed: KilledStudy) -> None:
    assert killed.again.code == 0, killed.again.err
    assert "4 members, 1 in the store" in killed.again.err
    after = {m.key: m.run_id for m in ArtifactStore(killed.home).manifests() if m.stage == "rl"}
    assert len(after) == 1 + 4, "the built home's own policy, and one for each member"
    assert {key: after[key] for key in killed.finished_before} == killed.finished_before
    events = map(json.loads, (killed.home / "lineage" / "events.jsonl").read_text().splitlines())
    done = Counter(e["run"]["runId"] for e in events if e["eventType"] == "COMPLETE" and e["job"]["name"] == "rl")
    assert sum(done.values()) == 5


@pytest.mark.slow
def test_the_member_that_was_under_way_goes_on_from_its_checkpoint(killed: KilledStudy) -> None:
    log = (killed.home / "studies" / "two" / "grpo-seed0.log").read_text(encoding="utf-8")
    without_time = "\n".join(line.partition("  ")[2] for line in log.splitlines())
    assert killed.checkpoint >= 4
    assert first_progress(without_time, "rl") == killed.checkpoint + 1


@pytest.mark.slow
def test_an_unfinished_study_shows_what_there_is_and_what_is_missing(killed: KilledStudy) -> None:
    assert killed.shown.code == 1
    assert "think-share-falls" in killed.shown.out
    said = " ".join(killed.shown.out.split())
    assert "think-share-falls, degrpo: degrpo solves no problem in any mode" in said
    assert "1 of 2 seeds" in said
    assert "reaches-oracle" not in killed.shown.out, "no run of its condition was finished"
    assert "missing: 3 of 4 members" in killed.shown.err
    assert [line.split()[0] for line in killed.shown.err.splitlines() if line.startswith("  ")] == [
        "grpo-seed0", "degrpo-seed1", "grpo-seed1",
    ]  # fmt: skip


@pytest.mark.slow
def test_the_warm_up_is_shared_and_every_member_is_on_record(killed: KilledStudy) -> None:
    assert len(list((killed.home / "artifacts" / "sft").iterdir())) == 1
    runs = [run for run in list_runs(killed.home) if run.status == "completed"]
    built = [use.key for run in runs for use in run.stages if use.stage == "rl" and not use.cached]
    assert len(built) == len(set(built)) == 5
    rows = run_query(
        killed.home,
        "select condition, seed, rl_key from study_members "
        "where artifact_key in (select key from artifacts where stage = 'study' and rows = 4) order by all",
        timeout_seconds=20,
    ).to_pylist()
    assert [(row["condition"], row["seed"]) for row in rows] == [
        ("degrpo", 0), ("degrpo", 1), ("grpo", 0), ("grpo", 1),
    ]  # fmt: skip
    assert {row["rl_key"] for row in rows} < set(built)


@pytest.mark.slow
def test_a_third_launch_runs_nothing_and_says_the_same(killed: KilledStudy, thinkless: Callable[..., Said]) -> None:
    before = sorted(killed.home.glob("artifacts/*/*/manifest.json"))
    third = thinkless(killed.home, "study", *killed.words)
    assert (third.code, third.out) == (0, killed.again.out)
    assert sorted(killed.home.glob("artifacts/*/*/manifest.json")) == before
    as_markdown = thinkless(killed.home, "study", *killed.words, "--show", "--format", "markdown").out.splitlines()
    assert as_markdown[0].startswith("| claim | quantity | condition | measured |")
    assert sum(line.startswith("| reaches-oracle |") for line in as_markdown) == 2
    planned = thinkless(killed.home, "study", *killed.words, "--dry-run")
    assert "4 members, 4 in the store, 0 to run" in planned.out


@pytest.mark.slow
def test_a_member_that_fails_is_named_with_its_log_and_the_others_go_on(
    killed: KilledStudy, thinkless: Callable[..., Said], tmp_path: Path
) -> None:
    broken = """
[conditions.broken]
about = "a recording that is not there"
overrides = ["teach.short.teacher.kind=recorded", "teach.short.teacher.path=absent.jsonl"]

[[claims]]"""
    path = tmp_path / "two.toml"
    path.write_text(STUDY.replace("\n[[claims]]", broken, 1), encoding="utf-8")
    answer = thinkless(killed.home, "study", str(path), "--seeds", "1", *killed.words[3:])
    assert answer.code == 1
    assert "3 members, 2 in the store" in answer.err
    log = killed.home / "studies" / "two" / "broken-seed0.log"
    assert f"broken-seed0  failed, see {log}" in answer.err
    assert "absent.jsonl" in answer.err
    assert "absent.jsonl" in log.read_text(encoding="utf-8")
    assert "reaches-oracle" in answer.out


def test_a_study_is_planned_from_what_the_store_holds(
    built: BuiltHome, thinkless: Callable[..., Said], tmp_path: Path
) -> None:
    """The built home's own policy is the one member of the first condition, once it is as long as the study's."""
    path = tmp_path / "two.toml"
    path.write_text(STUDY.replace('"rl.steps=60"', '"rl.steps=8"').replace('evaluate.models=["rl"]', "seed=0"))
    words = [str(path), "--seeds", "1", *(word for override in OVERRIDES for word in ("--set", override))]
    planned = thinkless(built.path, "study", *words, "--dry-run")
    assert planned.code == 0, planned.err
    assert "2 members, 1 in the store, 1 to run" in planned.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["claimz"], "unknown study 'claimz'; did you mean 'claims'?"),
        (["claims", "--only", "reaches-orakel"], "did you mean 'reaches-oracle'?"),
        (["claims", "--seeds", "0"], "--seeds is 0, expected at least 1"),
        (["claims", "--jobs", "0"], "--jobs is 0, expected at least 1"),
        (["claims", "--set", "rl.gama=1"], "unknown key 'rl.gama' (got value 1); did you mean 'rl.gamma'?"),
        (["claims", "--show"], "study claims has no finished member"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_study_that_cannot_be_is_refused(
    words: list[str], said: str, thinkless: Callable[..., Said], tmp_path: Path
) -> None:
    answer = thinkless(tmp_path / "home", "study", *words)
    assert answer.code == 2
    assert said in answer.err
    assert "Traceback" not in answer.err
