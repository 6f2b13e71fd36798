"""Trains a stage's model: in this process, or in several that `accelerate launch` starts.

plan -> (launch?) no:  `train` of the stage's module, called here
                  yes: job.json -> N x `python -m tasks.running.training_process` -> the same `train`
                       -> progress back into this process
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Protocol, TypeVar

from infra.processes.launcher import Launch, Message, run_launched, shards_the_model
from infra.processes.machines import Machines
from infra.settings import Settings
from infra.store.workspace import SCRATCH_NAME
from schemas.configs.training import TrainingConfig
from tasks.running.find import result_versions
from tasks.running.gpus import gpus_for
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

        It is called in each process, of which this machine has `processes`; only the main one writes. `sharded` splits
        the model over all of them.
        """
        ...


def run_training(
    plan: StagePlan[C], workspace: Path, progress: Progress, *, train: Train[C], settings: Settings
) -> None:
    """Train a stage's model in this process or in several, as its configuration says; passes on errors of training."""
    inputs = tuple(Path(artifact.path) for artifact in plan.inputs)
    launch = plan.config.launch
    if launch is None:
        train(plan.config, inputs, workspace, progress)
        return
    gpus_for(launch.processes, stage=plan.stage)
    machines = Machines.allocated(launch.machines, label=plan.stage, interface=settings.network_interface)

    def report_progress(message: Message) -> None:
        progress(message["done"], message["total"], message["numbers"], notes=tuple(message["notes"]))

    job = {
        "stage": [type(plan.builder).__module__, type(plan.builder).__qualname__],
        "config": plan.config.model_dump(mode="json"),
        "inputs": [str(path) for path in inputs],
        "workspace": str(workspace),
        "processes": launch.processes,
        "machines": launch.machines,
        "host": socket.gethostname(),
        "sources": dict(plan.sources),
        "packages": result_versions(),
        "longest_wait_seconds": settings.longest_wait_seconds,
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
            machines=machines,
            longest_wait_seconds=settings.longest_wait_seconds,
        ),
        on_message=report_progress,
    )
