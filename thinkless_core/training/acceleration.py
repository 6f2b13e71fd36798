"""The accelerator both trainers run on: a CUDA device if there is one, else the CPU; in one process or several."""

from __future__ import annotations

import os
from datetime import timedelta

import torch
from accelerate import Accelerator, InitProcessGroupKwargs

from schemas.errors import TrainingError

LONGEST_WAIT = timedelta(hours=6)
"""The longest that one process waits for another: some sample short completions while others sample long ones. If a
process dies, the launcher ends the others."""


def use_threads(num_threads: int, *, processes: int = 1) -> None:
    """Compute with this many CPU threads from now on; 0 takes all cores, shared out to `processes`."""
    torch.set_num_threads(num_threads or max((os.cpu_count() or 1) // processes, 1))


def training_accelerator() -> Accelerator:
    """The accelerator of this process, which may be one of several.

    Apple's MPS is left out: sampling needs float64, which it lacks.
    """
    group = InitProcessGroupKwargs(timeout=LONGEST_WAIT)
    return Accelerator(cpu=not torch.cuda.is_available(), kwargs_handlers=[group])


def single_process_accelerator() -> Accelerator:
    """The accelerator of work that one process does alone; raises TrainingError under a launcher of several."""
    accelerator = training_accelerator()
    if accelerator.num_processes > 1:
        raise TrainingError(
            f"launched with {accelerator.num_processes} processes, but this is done by one alone; launch one process"
        )
    return accelerator
