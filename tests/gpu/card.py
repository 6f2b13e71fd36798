"""The card: its peak by its name, its clock, its memory."""

from __future__ import annotations

import gc
import time

import torch

from thinkless_core.estimates.work_estimate import GPU_PEAKS


def peak_flops(device: torch.device) -> float | None:
    """Dense bfloat16 operations per second, as the maker says; None for a card that is not known."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name()
    return next((peak for part, peak in GPU_PEAKS.items() if part in name), None)


def synchronized(device: torch.device) -> float:
    """The time at which all that was asked for is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def forget_peak(device: torch.device) -> int:
    """Begin a new reading of the peak; bytes that are held already."""
    gc.collect()
    if device.type != "cuda":
        return 0
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def peak_bytes(device: torch.device) -> int | None:
    """The most that tensors held since then; None on a CPU."""
    return torch.cuda.max_memory_allocated() if device.type == "cuda" else None


def gib(num_bytes: float | None) -> str:
    """Bytes in GiB."""
    return "" if num_bytes is None else f"{num_bytes / 2**30:.2f}"
