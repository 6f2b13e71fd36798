"""Training of a stage: in this process, or in several that `accelerate launch` starts.

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
    """What a stage that trains a model calls `train`."""

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
        """Train from the input artifacts' folders; logs and checkpoints into `workspace/scratch`, the result into
        `workspace/model`.

        Called in each of `processes`; the main one alone writes. `sharded` spreads the model over them.
        """
        ...


def run_training(plan: StagePlan[C], workspace: Path, progress: Progress, *, train: Train[C]) -> None:
    """Train a stage's model where its configuration says; raises what training raises."""
    inputs = tuple(Path(artifact.path) for artifact in plan.inputs)
    launch = plan.config.launch
    if launch is None:
        train(plan.config, inputs, workspace, progress)
        return
    _check_gpus(launch, stage=plan.stage)

    def pass_on(message: Message) -> None:
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
        on_message=pass_on,
    )


def _check_gpus(launch: LaunchConfig, *, stage: str) -> None:
    """Refuse more processes than GPUs; on a CPU any number may share its cores."""
    num_gpus = 0 if parse_flag_from_env("ACCELERATE_USE_CPU") else torch.cuda.device_count()
    if 0 < num_gpus < launch.processes:
        raise ConfigError(
            f"{stage}.launch.processes: {launch.processes} processes need a GPU each, and this machine shows "
            f"{num_gpus}; set {stage}.launch.processes={num_gpus}"
        )
