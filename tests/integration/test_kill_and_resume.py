"""kill -9 in the middle of a stage: the next launch goes on from there, to the bytes of a run that was never killed.

copy of the built home without one stage -> real process, frozen in the middle of that stage -> SIGKILL -> run again
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from infra.runs import PROCESS_ENDED, list_runs
from schemas.records.generations import Generation
from tasks.running.parquet_files import read_records, write_records
from tests.integration.conftest import BuiltHome
from tests.integration.driver import command, run_pipeline
from tests.integration.processes import environment, freeze_when, kill_9, started

PROGRESS = re.compile(r"^(?P<label>\S+)\s+(?P<done>\d+)/(?P<total>\d+)  ")


def newest_checkpoint(stage: Path) -> int:
    """Step of the newest whole checkpoint of the stage's unfinished artifact, 0 where there is none."""
    found = stage.glob("*.part/scratch/checkpoints/step-??????")
    return max((int(path.name.removeprefix("step-")) for path in found), default=0)


def chunks(stage: Path) -> list[Path]:
    """Finished chunks of the stage's unfinished artifact."""
    return sorted(stage.glob("*.part/scratch/chunk-*[0-9].parquet"))


def answer_chunks(stage: Path) -> list[Path]:
    """The same of stage `teach`, whose chunks are folders."""
    return sorted(stage.glob("*.part/scratch/chunk-????????"))


def first_progress(log: str, label: str) -> int:
    """How far a stage was when it first said so."""
    said = [match for line in log.splitlines() if (match := PROGRESS.match(line)) and match["label"] == label]
    return int(said[0]["done"])


@pytest.mark.parametrize("stage", ["sft", "rl"])
@pytest.mark.slow
def test_training_killed_in_the_middle_goes_on_from_its_checkpoint(
    stage: str, home: Path, built: BuiltHome, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory, key = home / "artifacts" / stage, built.run.artifacts[stage].key
    shutil.rmtree(directory)
    log = tmp_path / "killed.log"
    with started(command(home, until=stage), log=log, env=environment(home)) as process:
        freeze_when(lambda: newest_checkpoint(directory) >= 4, process=process, log=log)
        step = newest_checkpoint(directory)
        assert not (directory / key).exists(), "frozen too late, the stage was published"
        (running,) = [run for run in list_runs(home) if run.pid == process.pid]
        assert running.status == "running"
        kill_9(process)
    (killed,) = [run for run in list_runs(home) if run.run_id == running.run_id]
    assert (killed.status, killed.error) == ("failed", PROCESS_ENDED)

    caplog.clear()
    finished = run_pipeline(home)

    assert first_progress("\n".join(r.getMessage() for r in caplog.records), stage) == step + 1
    # Equal bytes, and therefore nothing behind the stage is built again.
    assert finished.built == [stage]
    assert finished.artifacts[stage].digest == built.run.artifacts[stage].digest
    weights = Path("artifacts") / stage / key / "model" / "model.safetensors"
    assert (home / weights).read_bytes() == (built.path / weights).read_bytes()
    assert list(directory.iterdir()) == [directory / key], "the unfinished artifact is still there"


@pytest.mark.slow
def test_teaching_killed_in_the_middle_keeps_its_finished_chunks(home: Path, built: BuiltHome, tmp_path: Path) -> None:
    think = built.run.artifacts["teach-think"]
    directory = home / "artifacts" / "teach"
    shutil.rmtree(directory)
    log = tmp_path / "killed.log"
    with started(command(home, until="teach"), log=log, env=environment(home)) as process:
        freeze_when(lambda: len(answer_chunks(directory)) >= 5, process=process, log=log)
        kept = answer_chunks(directory)
        assert not (directory / think.key).exists(), "frozen too late, the stage was published"
        kill_9(process)
    num_chunks = len(range(0, think.rows, 4))
    assert 5 <= len(kept) < num_chunks

    # The same crash in a second home, where one finished chunk is marked: if it is asked for again, the mark is lost.
    marked_home = tmp_path / "marked"
    shutil.copytree(home, marked_home)
    marked = marked_home / kept[0].relative_to(home) / "00000000.parquet"
    rows = [row.model_copy(update={"teacher": "before the crash"}) for row in read_records(marked, Generation)]
    write_records(marked, Generation, rows)

    finished = run_pipeline(home)
    assert finished.built == ["teach-think", "teach-short"]
    assert finished.artifacts["teach-think"].digest == think.digest

    again = run_pipeline(marked_home, until="teach")
    teachers = pq.read_table(Path(again.artifacts["teach-think"].path) / "generations.parquet")["teacher"].to_pylist()
    assert teachers == ["before the crash"] * 4 + ["procedural-chains"] * (think.rows - 4)


@pytest.mark.slow
def test_an_evaluation_killed_in_the_middle_keeps_its_finished_chunks(
    home: Path, built: BuiltHome, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = home / "artifacts" / "evaluate"
    shutil.rmtree(directory)
    log = tmp_path / "killed.log"
    with started(command(home, until="evaluate"), log=log, env=environment(home)) as process:
        freeze_when(lambda: len(chunks(directory)) >= 2, process=process, log=log)
        kept = sum(pq.read_metadata(chunk).num_rows for chunk in chunks(directory))
        kill_9(process)
    whole = built.run.artifacts["evaluate"]
    assert 2 * 6 * 3 <= kept < whole.rows  # six problems in three modes are a chunk

    caplog.clear()
    finished = run_pipeline(home)

    assert first_progress("\n".join(r.getMessage() for r in caplog.records), "evaluate") == kept
    assert finished.built == ["evaluate"]
    assert finished.artifacts["evaluate"].digest == whole.digest


@pytest.mark.slow
def test_a_run_killed_again_and_again_arrives(home: Path, built: BuiltHome, tmp_path: Path) -> None:
    directory = home / "artifacts" / "rl"
    shutil.rmtree(directory)
    for number in (1, 2):
        before = newest_checkpoint(directory)
        log = tmp_path / f"killed-{number}.log"
        with started(command(home, until="rl"), log=log, env=environment(home)) as process:
            freeze_when(lambda seen=before: newest_checkpoint(directory) > seen, process=process, log=log)  # type: ignore[misc]
            kill_9(process)
    finished = run_pipeline(home)
    assert finished.built == ["rl"]
    assert finished.artifacts["rl"].digest == built.run.artifacts["rl"].digest
