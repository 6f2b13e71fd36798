"""Trains a stage's model: in this process, or in several that `accelerate launch` starts.

plan -> (launch?) no:  `train` of the stage's module, called here
                  yes: job.json -> N x `python -m tasks.running.training_process` -> the same `train`
                       -> progress back into this process
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeVar

import torch
from accelerate.utils import parse_flag_from_env

from infra.processes.launcher import Launch, Message, run_launched, shards_the_model
from infra.store.workspace import SCRATCH_NAME
from schemas.configs.training import LaunchConfig, TrainingConfig
from schemas.errors import ConfigError
from tasks.running.stage import StagePlan
from thinkless_core.progress import Progress

C = TypeVar("C", bound=TrainingConfig)
C_contra = TypeVar("C_contra", bound=TrainingConfig, contravariant=True)


class Train(Protocol[C_contra]):
    """The function `train` of the module of a stage that trains a model."""

    def __call__(
        self,
        config: C_contra,
        inputs: tuple[Path, ...],
        workspace: Path,
        progress: Progress,
        *,
        processes: int = 1,
        sharded: bool = False,
    ) -> None:
        """Train on the artifacts in the folders `inputs`. Logs and checkpoints go to `workspace/scratch`, the result to
        `workspace/model`.

        It is called in each of `processes` processes; only the main one writes. `sharded` splits the model over them.
        """
        ...


def run_training(plan: StagePlan[C], workspace: Path, progress: Progress, *, train: Train[C]) -> None:
    """Train a stage's model in this process or in several, as its configuration says; passes on errors of training."""
    inputs = tuple(Path(artifact.path) for artifact in plan.inputs)
    launch = plan.config.launch
    if launch is None:
        train(plan.config, inputs, workspace, progress)
        return
    _check_gpus(launch, stage=plan.stage)

    def report_progress(message: Message) -> None:
        progress(message["done"], message["total"], message["numbers"], notes=tuple(message["notes"]))

    job = {
        "stage": [type(plan.builder).__module__, type(plan.builder).__qualname__],
        "config": plan.config.model_dump(mode="json"),
        "inputs": [str(path) for path in inputs],
        "workspace": str(workspace),
        "processes": launch.processes,
        "sharded": shards_the_model(launch.accelerate_config),
    }
    run_launched(
        Launch(
            label=plan.label,
            module="tasks.running.training_process",
            job=job,
            processes=launch.processes,
            accelerate_config=launch.accelerate_config,
            folder=workspace / SCRATCH_NAME / "launch",
        ),
        on_message=report_progress,
    )


def _check_gpus(launch: LaunchConfig, *, stage: str) -> None:
    """Refuse more processes than GPUs; without a GPU, any number of processes may share the CPU."""
    num_gpus = 0 if parse_flag_from_env("ACCELERATE_USE_CPU") else torch.cuda.device_count()
    if 0 < num_gpus < launch.processes:
        raise ConfigError(
            f"{stage}.launch.processes: {launch.processes} processes need a GPU each, and this machine has "
            f"{num_gpus}; set {stage}.launch.processes={num_gpus}"
        )
