"""The accelerator both trainers run on: a CUDA device if there is one, else the CPU; in one process or several."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Literal

import torch
from accelerate import Accelerator, InitProcessGroupKwargs
from accelerate.utils import parse_flag_from_env

from schemas.errors import TrainingError

_longest_wait = timedelta(hours=6)


def wait_at_most(seconds: float) -> None:
    """Let this process wait so long for another of its group, and no longer, from the group's beginning on."""
    global _longest_wait
    _longest_wait = timedelta(seconds=seconds)


def use_threads(num_threads: int, *, processes: int = 1) -> None:
    """Compute with this many CPU threads from now on; 0 takes all cores, shared out to `processes`."""
    torch.set_num_threads(num_threads or max((os.cpu_count() or 1) // processes, 1))


def training_accelerator() -> Accelerator:
    """The accelerator of this process, which may be one of several.

    Apple's MPS is left out: sampling needs float64, which it lacks.
    """
    group = InitProcessGroupKwargs(timeout=_longest_wait)
    return Accelerator(cpu=not torch.cuda.is_available(), kwargs_handlers=[group])


def single_process_accelerator() -> Accelerator:
    """The accelerator of work that one process does alone; raises TrainingError under a launcher of several."""
    accelerator = training_accelerator()
    if accelerator.num_processes > 1:
        raise TrainingError(
            f"launched with {accelerator.num_processes} processes, but this is done by one alone; launch one process"
        )
    return accelerator


def in_bfloat16(precision: Literal["float32", "mixed", "bfloat16", "auto"]) -> bool:
    """Whether a `precision` of the configuration multiplies in bfloat16 here; `auto` does if the hardware has units for
    it: most GPUs, and processors with AMX or AVX-512 BF16. Without them bfloat16 is several times slower than float32.
    """
    if precision != "auto":
        return precision != "float32"
    if torch.cuda.is_available() and not parse_flag_from_env("ACCELERATE_USE_CPU"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(name)) for name in ("amx_bf16", "avx512_bf16"))
