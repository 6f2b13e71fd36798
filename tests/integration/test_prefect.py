"""The wiring to Prefect: one server for all of it, and what its records say about runs that the store decides.

Everything about stages themselves is tested without Prefect, in the files beside this one.
"""

from __future__ import annotations

import re
import shutil
import signal
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from flows.cli import main
from infra.runs import list_runs
from infra.store.artifact_store import ArtifactStore
from schemas.errors import CollapseError, ContractError, TrainingError
from schemas.mode import Mode
from tests.integration.conftest import BuiltHome
from tests.integration.driver import LABELS, SMALL
from tests.integration.test_gates import recording
from tests.plugins import careless_teacher

if TYPE_CHECKING:
    from tests.integration.prefect_runs import Recorded

pytestmark = [pytest.mark.prefect, pytest.mark.slow]


@pytest.fixture(scope="module")
def finished(runs: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recorded]:
    """A home in which the flow ran once under Prefect, and what the server knows about that."""
    home = tmp_path_factory.mktemp("flow") / "home"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("THINKLESS_HOME", str(home))
        keys = runs.thinkless(overrides=list(SMALL))
    assert list(keys) == list(LABELS)
    return home, runs.newest_run()


def test_the_flow_completes_and_every_task_is_one_stage(finished: tuple[Path, Recorded]) -> None:
    home, recorded = finished
    assert recorded.flow_run.state_name == "Completed"
    assert recorded.states == dict.fromkeys(LABELS, "Completed")
    (run,) = list_runs(home)
    assert run.status == "completed"
    assert [use.cached for use in run.stages] == [False] * len(LABELS)


def test_progress_result_table_and_report_are_artifacts_of_the_run(finished: tuple[Path, Recorded]) -> None:
    home, recorded = finished
    assert {f"progress-{label}" for label in LABELS} <= recorded.artifacts.keys()
    assert all(float(recorded.artifacts[f"progress-{label}"].data) == 100.0 for label in LABELS)  # type: ignore[arg-type]
    assert "tiny-easy" in str(recorded.artifacts["result-table"].data)
    (report,) = home.glob("artifacts/report/*/report.html")
    shown = str(recorded.artifacts["report"].data)
    assert f"`{report}`" in shown
    assert "| mode | accuracy | thinks | tokens |\n|---|---|---|---|\n| auto | " in shown
    assert "tiny-mixed: rl auto thinks on" in shown
    headline = re.findall(r'class="big">.*?</span>(.*?)</p>', report.read_text(encoding="utf-8"))[0].strip()
    assert headline in shown
    assert "**P(think) by difficulty**\n\n![P(think) by difficulty](data:image/svg+xml;base64," in shown


def test_the_runs_name_says_what_was_asked_for_and_the_record_has_its_id(finished: tuple[Path, Recorded]) -> None:
    home, recorded = finished
    assert recorded.flow_run.name.startswith(f"tiny, {SMALL[0]}, {SMALL[1]}")
    assert list_runs(home)[0].flow_run_id == str(recorded.flow_run.id)


def test_every_task_waits_for_the_tasks_of_its_inputs(finished: tuple[Path, Recorded]) -> None:
    _, recorded = finished
    label_of = {task.id: label for label, task in recorded.tasks.items()}
    arrows = {
        label: {label_of[before.id] for kind in task.task_inputs.values() for before in kind if hasattr(before, "id")}
        for label, task in recorded.tasks.items()
    }
    assert arrows["base"] == arrows["problems"] == set()
    assert arrows["teach-think"] == arrows["teach-short"] == {"base", "problems"}
    assert arrows["pairs"] == {"problems", "teach-think", "teach-short"}
    assert arrows["rl"] >= {"sft", "problems"}
    assert all(arrows[label] for label in LABELS if label not in ("base", "problems"))


def test_every_artifact_is_an_asset_with_its_upstream_ones(finished: tuple[Path, Recorded], runs: ModuleType) -> None:
    home, recorded = finished
    made = {
        event.resource["prefect.resource.id"]: {r["prefect.resource.id"] for r in event.related if r.role == "asset"}
        for event in runs.events_of(recorded, "prefect.asset.materialization.succeeded", at_least=len(LABELS))
    }
    assert made == {
        f"thinkless://{one.stage}/{one.key}": {f"thinkless://{ref.stage}/{ref.key}" for ref in one.inputs}
        for one in ArtifactStore(home).manifests()
    }


@pytest.mark.parametrize("policy", ["warn", "stop"])
def test_a_lost_mode_is_an_event_whether_or_not_the_run_goes_on(
    policy: str, finished: tuple[Path, Recorded], runs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    shutil.copytree(finished[0], home)
    monkeypatch.setenv("THINKLESS_HOME", str(home))
    losing = [f"rl.guard.policy={policy}", "rl.guard.window=1", "rl.guard.min_share=0.09", "rl.objective=grpo"]
    settings = [*SMALL, *losing, "rl.optimizer.learning_rate=0.5"]
    with pytest.raises(CollapseError) if policy == "stop" else nullcontext():
        runs.thinkless(until="rl", overrides=settings)
    recorded = runs.newest_run()
    assert recorded.flow_run.state_name == ("Failed" if policy == "stop" else "Completed")
    assert recorded.states["sft"] == "Cached"
    (lost,) = runs.events_of(recorded, "thinkless.collapse", at_least=1)
    assert "of the free rollouts" in lost.payload["reason"]
    made = runs.events_of(recorded, "prefect.asset.materialization", at_least=1)
    assert [event.resource["prefect.resource.id"] for event in made] == [lost.resource["prefect.resource.id"]]
    assert any(r["prefect.resource.id"].startswith("thinkless://sft/") for r in made[0].related), "a cached upstream"


def test_a_second_run_is_cached_task_by_task(
    finished: tuple[Path, Recorded], runs: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, _ = finished
    monkeypatch.setenv("THINKLESS_HOME", str(home))
    built_by = {manifest.run_id for manifest in ArtifactStore(home).manifests()}
    runs.thinkless(overrides=list(SMALL))
    assert runs.newest_run().states == dict.fromkeys(LABELS, "Cached")
    assert {manifest.run_id for manifest in ArtifactStore(home).manifests()} == built_by


def test_what_prefect_remembers_does_not_count_where_the_store_has_lost_it(
    finished: tuple[Path, Recorded], runs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    shutil.copytree(finished[0], home)
    shutil.rmtree(home / "artifacts" / "rl")
    monkeypatch.setenv("THINKLESS_HOME", str(home))
    runs.thinkless(overrides=list(SMALL))
    assert runs.newest_run().states == dict.fromkeys(LABELS, "Cached") | {"rl": "Completed"}
    assert len(list(home.glob("artifacts/rl/*/manifest.json"))) == 1


def test_a_failed_gate_fails_the_flow_and_publishes_nothing(
    finished: tuple[Path, Recorded], runs: ModuleType, built: BuiltHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    shutil.copytree(finished[0], home)
    rows = recording(built, Mode.SHORT)
    rows[0]["completion"] = ""
    path = tmp_path / "short.jsonl"
    path.write_text("".join(f"{line}\n" for line in map(json_line, rows)), encoding="utf-8")
    monkeypatch.setenv("THINKLESS_HOME", str(home))
    before = sorted(home.glob("artifacts/*/*/manifest.json"))
    side = "teach.short.teacher"
    settings = [f"{side}.{key}={value}" for key, value in careless_teacher(path).items()]
    with pytest.raises(ContractError, match="completion_is_not_empty"):
        runs.thinkless(overrides=[*SMALL, *settings])
    assert sorted(home.glob("artifacts/*/*/manifest.json")) == before
    recorded = runs.newest_run()
    assert recorded.flow_run.state_name == "Failed"
    assert recorded.states["teach-short"] == "Failed"
    assert recorded.tasks["teach-short"].run_count == 1, "a terminal error is not tried again"


def test_a_bad_data_file_ends_the_command_with_exit_code_2(
    runs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line itself, in this process: the error's way through Prefect and out again."""
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "1+1=?", "answer": "2"}\n{"prompt": "2+2=?"}\n', encoding="utf-8")
    monkeypatch.setenv("THINKLESS_HOME", str(tmp_path / "home"))
    source = ["problems.benchmarks.mine.kind=local", f"problems.benchmarks.mine.path={path}"]
    before = signal.getsignal(signal.SIGTERM)
    try:
        code = main(["run", "--until", "problems", *(word for o in (*SMALL, *source) for word in ("--set", o))])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert code == 2
    assert "p.jsonl, line 2: no column 'answer'" in capsys.readouterr().err
    assert not list((tmp_path / "home").glob("artifacts/problems/*/manifest.json"))


def test_a_study_on_a_server_is_one_task_per_member_and_a_failed_member_fails_it_at_its_end(
    finished: tuple[Path, Recorded], runs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, study = tmp_path / "home", tmp_path / "pair.toml"
    shutil.copytree(finished[0], home)
    study.write_text(
        """
title = "One that works, one that cannot"
overrides = ['evaluate.models=["rl"]']
benchmarks = { easy = "tiny-easy", mixed = "tiny-mixed", hard = "tiny-hard" }
claims = [{ claim = "reaches-oracle", conditions = { policy = "works" } }]

[conditions.works]
about = "as it is"

[conditions.cannot]
about = "a teacher whose recording is missing"
overrides = ["teach.short.teacher.kind=recorded", "teach.short.teacher.path=absent.jsonl"]
""",
        encoding="utf-8",
    )
    monkeypatch.setenv("THINKLESS_HOME", str(home))
    with pytest.raises(TrainingError, match="1 of 2 members are missing"):
        runs.thinkless_study(str(study), seeds=1, overrides=list(SMALL))
    recorded = runs.newest_run()
    assert recorded.flow_run.state_name == "Failed"
    assert {name: task.state_name for name, task in recorded.tasks.items()} == {
        "works-seed0": "Completed",
        "cannot-seed0": "Failed",
    }
    assert recorded.flow_run.name == f"study {study}, 1 seeds"
    (page,) = home.glob("artifacts/study/*/report.html")
    shown = str(recorded.artifacts["study-pair"].data)
    assert "| reaches-oracle: works | " in shown
    assert f"`{page}`" in shown


def json_line(row: dict[str, str]) -> str:
    """One row of a recording."""
    import json

    return json.dumps(row)
