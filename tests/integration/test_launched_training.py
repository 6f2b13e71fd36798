"""Stages that train in processes of their own: as one process would, and none of them is ever left behind.

Real launches: command -> `accelerate launch` -> two processes that meet over gloo.
"""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from schemas.artifact import Artifact
from schemas.errors import ConfigError, TrainingError
from tests.integration.conftest import BuiltHome
from tests.integration.driver import command, run_pipeline
from tests.integration.processes import environment, family_of, started, still_alive, stop, wait_until
from tests.integration.test_kill_and_resume import first_progress, newest_checkpoint

GONE_AFTER_SECONDS = 15.0
LAUNCHED = ("sft.launch.processes=2", "sft.num_threads=1")
LONG = (*LAUNCHED, "sft.steps=600")
"""Long enough to be met in the middle."""


def numbers_of(artifact: Artifact) -> dict[tuple[int, str], float]:
    """The metrics of a stage by step and name."""
    rows = pq.read_table(Path(artifact.path) / "metrics.parquet").to_pylist()
    return {(row["step"], row["name"]): row["value"] for row in rows}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ddp", "fsdp2"])
def test_stages_launched_in_two_processes_come_to_what_one_comes_to(kind: str, home: Path, built: BuiltHome) -> None:
    overrides = [
        f"{stage}.{key}"
        for stage in ("sft", "rl")
        for key in ("launch.processes=2", f'launch.accelerate_config="{kind}"', "num_threads=1")
    ]
    finished = run_pipeline(home, *overrides, until="rl")
    assert finished.built == ["sft", "rl"]
    for stage in ("sft", "rl"):
        found = numbers_of(finished.artifacts[stage])
        # float32 sums in another order, magnified by Adam, and by rollouts where one of them was drawn otherwise
        assert found == pytest.approx(numbers_of(built.run.artifacts[stage]), rel=0.05, abs=0.02)
        assert not (Path(finished.artifacts[stage].path) / "scratch").exists()
        assert (Path(finished.artifacts[stage].path) / "model" / "model.safetensors").exists()


def is_process(member: psutil.Process, *, rank: int) -> bool:
    """Whether a process is the one of this rank."""
    try:
        return "tasks.running.training_process" in member.cmdline() and member.environ().get("RANK") == str(rank)
    except psutil.Error:
        return False


@pytest.mark.slow
def test_a_process_that_dies_is_named_and_the_next_launch_goes_on(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory, log = home / "artifacts" / "sft", tmp_path / "run.log"
    shutil.rmtree(directory)
    with started(command(home, *LONG, until="sft"), log=log, env=environment(home)) as process:
        wait_until(lambda: newest_checkpoint(directory) >= 4, process=process, log=log)
        family = family_of(process.pid)
        (second,) = [member for member in family if is_process(member, rank=1)]
        second.kill()
        assert process.wait(timeout=90) == 2, log.read_text()
        assert still_alive(family, after_seconds=GONE_AFTER_SECONDS) == []
    said = log.read_text()
    assert "TrainingError: sft: process 1 of 2 was ended by SIGKILL" in said
    assert "Last lines of" in said
    step = newest_checkpoint(directory)
    assert step >= 4

    caplog.clear()
    finished = run_pipeline(home, *LONG, until="sft")
    assert finished.built == ["sft"]
    assert first_progress("\n".join(r.getMessage() for r in caplog.records), "sft") > step


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_a_stopped_command_leaves_no_launched_process(sent: signal.Signals, home: Path, tmp_path: Path) -> None:
    directory, log = home / "artifacts" / "sft", tmp_path / "run.log"
    shutil.rmtree(directory)
    with started(command(home, *LONG, until="sft"), log=log, env=environment(home)) as process:
        wait_until(lambda: newest_checkpoint(directory) >= 4, process=process, log=log)
        family = family_of(process.pid)
        assert [is_process(member, rank=rank) for rank in range(2) for member in family].count(True) == 2
        stop(process, sent)
        assert still_alive(family, after_seconds=GONE_AFTER_SECONDS) == []
    assert newest_checkpoint(directory) >= 4


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_all_processes_with_the_words_of_one(home: Path) -> None:
    directory = home / "artifacts" / "sft"
    shutil.rmtree(directory)
    with pytest.raises(TrainingError, match=r"sft step 2: loss nan .* not finite; lower sft.optimizer.learning_rate"):
        run_pipeline(home, *LAUNCHED, "sft.optimizer.learning_rate=1e30", "sft.checkpoint_every=1", until="sft")
    assert newest_checkpoint(directory) == 1, "the last good checkpoint is kept"


def test_an_unknown_accelerate_configuration_is_refused(home: Path) -> None:
    with pytest.raises(ConfigError, match="'fsdp3' is neither a file nor shipped; did you mean 'fsdp2'"):
        run_pipeline(home, *LAUNCHED, 'sft.launch.accelerate_config="fsdp3"', until="sft")
