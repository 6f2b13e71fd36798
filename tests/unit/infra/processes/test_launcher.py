"""Launches: the shipped configurations, messages, and whose fault a failure is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from accelerate.commands.config.config_args import load_config_from_file

from infra.processes.launcher import Launch, Message, accelerate_config_path, run_launched, shards_the_model
from infra.processes.machines import Machines
from schemas.configs.training import ACCELERATE_CONFIGS
from schemas.errors import CollapseError, ConfigError, TrainingError


def launch(folder: Path, **job: Any) -> list[Message]:
    """Two processes with this job; what they said."""
    said: list[Message] = []
    run_launched(
        Launch(
            label="sft",
            module="tests.unit.infra.processes.launched_job",
            job={"greeting": "good day", "failing": None, "kind": "ours"} | job,
            processes=2,
            accelerate_config="ddp",
            folder=folder / "launch",
            machines=Machines.allocated(1, label="sft"),
        ),
        on_message=said.append,
    )
    return said


@pytest.mark.parametrize(("name", "sharded"), [("single", False), ("ddp", False), ("fsdp2", True)])
def test_a_shipped_configuration_is_one_that_accelerate_reads(name: str, sharded: bool) -> None:
    config = load_config_from_file(str(accelerate_config_path(name)))
    assert (config.distributed_type == "FSDP") == sharded == shards_the_model(name)
    assert config.mixed_precision == "no", "precision is the stage's own matter"


def test_every_shipped_configuration_is_listed() -> None:
    folder = accelerate_config_path("ddp").parent
    assert tuple(sorted(path.stem for path in folder.glob("*.yaml"))) == ACCELERATE_CONFIGS


def test_a_configuration_of_ones_own_is_a_path(tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    own.write_text('{"compute_environment": "LOCAL_MACHINE", "distributed_type": "FSDP"}')
    assert accelerate_config_path(str(own)) == own
    assert shards_the_model(str(own))
    with pytest.raises(ConfigError, match="neither a file nor shipped; known: ddp, fsdp2, single"):
        accelerate_config_path("/nowhere/at-all.yaml")


@pytest.mark.slow
def test_what_the_main_process_says_arrives(tmp_path: Path) -> None:
    assert launch(tmp_path) == [{"hello": "good day"}]


@pytest.mark.slow
def test_an_error_of_this_project_arrives_as_it_was_raised(tmp_path: Path) -> None:
    with pytest.raises(CollapseError, match=r"^told to$"):
        launch(tmp_path, failing=0, kind="ours")


def test_any_other_error_names_its_process_and_quotes_its_last_lines_at_once(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(TrainingError) as raised:
        launch(tmp_path, failing=1, kind="theirs")
    text = str(raised.value)
    assert text.startswith("sft: process 1 of 2 met ValueError: told to; the last good checkpoint is kept")
    assert "process 1 is here\nTraceback" in text
    assert time.monotonic() - started < 45, "the other process was waited for"


@pytest.mark.parametrize("failing", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_the_process_that_a_signal_ended_is_named_and_not_those_that_miss_it(failing: int, tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=rf"^sft: process {failing} of 2 was ended by SIGKILL \(the kernel sends it"
    ):
        launch(tmp_path, failing=failing, kind="killed")


def test_a_module_that_does_not_start_is_told_by_the_launcher(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"(?s)ended with exit code 1 before any of them reported an error.*no_such_module"
    ):
        run_launched(
            Launch(
                label="sft",
                module="no_such_module",
                job={},
                processes=1,
                accelerate_config="single",
                folder=tmp_path / "launch",
                machines=Machines.allocated(1, label="sft"),
            ),
            on_message=lambda message: None,
        )
