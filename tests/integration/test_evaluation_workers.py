"""An evaluation shared out over workers has the bytes of one in a single process, whoever of them is killed."""

from __future__ import annotations

import shutil
import signal
from functools import partial
from pathlib import Path

import pytest

from schemas.configs.loading import load_config
from schemas.errors import ConfigError
from tasks.evaluate_models import EvaluateModels, EvaluationWork
from tasks.running.chunks import unfinished
from tests.integration import worker_runs
from tests.integration.conftest import BuiltHome
from tests.integration.driver import SMALL, command, run_pipeline
from tests.integration.processes import environment, family_of, started, still_alive, stop, wait_until
from tests.integration.test_kill_and_resume import chunks
from tests.integration.worker_runs import GONE_AFTER_SECONDS, run_with_a_worker_killed, workers_in

in_workers = partial(worker_runs.in_workers, stage="evaluate")


def test_the_number_of_processes_is_not_in_the_key(built: BuiltHome, home: Path) -> None:
    finished = run_pipeline(home, in_workers(2))
    assert finished.built == []
    assert finished.artifacts["evaluate"].key == built.run.artifacts["evaluate"].key


def test_a_chunk_has_the_same_bytes_in_whatever_order_chunks_are_done(built: BuiltHome, tmp_path: Path) -> None:
    config = load_config("tiny", overrides=[*SMALL, 'evaluate.models=["sft"]', "evaluate.limit=3"])
    inputs = {stage: Path(built.run.artifacts[stage].path) for stage in EvaluateModels().inputs(config)}
    found = []
    for name, step in (("forwards", 1), ("backwards", -1)):
        (tmp_path / name / "scratch").mkdir(parents=True)
        work = EvaluationWork(config.evaluate, inputs, tmp_path / name)
        work.do(unfinished(work.chunks[::step], owner=name), processes=1)
        found.append([chunk.file.read_bytes() for chunk in work.chunks])
    assert len(found[0]) == 3
    assert found[0] == found[1]


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_any_number_of_workers_comes_to_the_same_bytes(processes: int, home: Path, built: BuiltHome) -> None:
    shutil.rmtree(home / "artifacts" / "evaluate")
    finished = run_pipeline(home, in_workers(processes), until="evaluate")
    assert finished.built == ["evaluate"]
    assert finished.artifacts["evaluate"].digest == built.run.artifacts["evaluate"].digest
    assert not (Path(finished.artifacts["evaluate"].path) / "scratch").exists()


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_is_named_and_the_bytes_are_the_same(
    home: Path, built: BuiltHome, tmp_path: Path
) -> None:
    log = tmp_path / "run.log"
    rank = run_with_a_worker_killed(home, stage="evaluate", log=log)
    assert f"evaluate: worker {rank} of 2 was ended by SIGKILL (the kernel sends it if memory" in log.read_text()
    finished = run_pipeline(home, until="evaluate")
    assert finished.built == []
    assert finished.artifacts["evaluate"].digest == built.run.artifacts["evaluate"].digest


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_a_stopped_command_leaves_no_worker_and_keeps_the_chunks(
    sent: signal.Signals, home: Path, built: BuiltHome, tmp_path: Path
) -> None:
    directory, log = home / "artifacts" / "evaluate", tmp_path / "run.log"
    shutil.rmtree(directory)
    with started(command(home, in_workers(2), until="evaluate"), log=log, env=environment(home)) as process:
        wait_until(lambda: len(chunks(directory)) >= 1, process=process, log=log)
        family = family_of(process.pid)
        assert workers_in(family)
        stop(process, sent)
        assert still_alive(family, after_seconds=GONE_AFTER_SECONDS) == []
    kept = {path: path.stat().st_mtime_ns for path in chunks(directory)}
    assert kept
    finished = run_pipeline(home, until="evaluate")
    assert finished.built == ["evaluate"]
    assert finished.artifacts["evaluate"].digest == built.run.artifacts["evaluate"].digest


@pytest.mark.slow
def test_an_error_in_workers_is_the_error_of_one_with_its_name(home: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"set evaluate\.max_new_tokens to at most .* \(evaluate, worker [01] of 2\)$"
    ):
        run_pipeline(home, in_workers(2), "evaluate.max_new_tokens=250", until="evaluate")
