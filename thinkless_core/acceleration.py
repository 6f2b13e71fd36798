"""The accelerator both trainers run on: a CUDA device where there is one, else the CPU; one process."""

from __future__ import annotations

import os

import torch
from accelerate import Accelerator

from schemas.errors import TrainingError


def use_threads(num_threads: int) -> None:
    """Compute with this many CPU threads from now on; 0 takes all cores."""
    torch.set_num_threads(num_threads or os.cpu_count() or 1)


def single_process_accelerator() -> Accelerator:
    """The accelerator of this process; raises TrainingError under a launcher of several.

    Apple's MPS is left out: sampling needs float64, which it lacks.
    """
    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    if accelerator.num_processes > 1:
        raise TrainingError(
            f"launched with {accelerator.num_processes} processes, but gradients are not yet exchanged between them; "
            "launch one process"
        )
    return accelerator
