"""How many GPUs the processes of a stage can have."""

from __future__ import annotations

import torch
from accelerate.utils import parse_flag_from_env

from schemas.errors import ConfigError


def gpus_for(processes: int, *, stage: str, each: int = 1) -> int:
    """The number of GPUs here, enough to give each process `each` of its own; 0 if they are to share the CPU.

    Raises ConfigError if there are GPUs, but too few.
    """
    num_gpus = 0 if parse_flag_from_env("ACCELERATE_USE_CPU") else torch.cuda.device_count()
    if 0 < num_gpus < processes * each:
        needed = "a GPU each" if each == 1 else f"{each} GPUs each"
        enough = num_gpus // each
        way_out = f"set {stage}.launch.processes={enough}" if enough else "lower tensor_parallel_size"
        raise ConfigError(
            f"{stage}.launch.processes: {processes} processes need {needed}, and this machine has {num_gpus}; {way_out}"
        )
    return num_gpus
