"""The card: its peak by its name, its clock, its memory."""

from __future__ import annotations

import gc
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch

from schemas.configs.base_model import PretrainedModel
from schemas.configs.pipeline import PipelineConfig
from schemas.mode import Mode
from thinkless_core.estimates.model_shape import shape_of
from thinkless_core.estimates.stage_memory import stage_memories
from thinkless_core.estimates.work_estimate import GPU_PEAKS

if TYPE_CHECKING:
    from tests.gpu.session import Session


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


def estimates(session: Session) -> dict[str, int]:
    """What `thinkless doctor` says that the stages sft, rl and evaluate hold; empty for a student of unknown build."""
    shape = shape_of(PretrainedModel(path=str(session.base)))
    if shape is None:
        return {}
    sides = {
        mode: SimpleNamespace(max_tokens=max(getattr(pair, f"{mode}_tokens") for pair in session.pairs))
        for mode in Mode
    }
    told: Any = PipelineConfig.model_construct(
        teach=SimpleNamespace(**sides), sft=session.sft(), rl=session.rl(), evaluate=session.evaluate()
    )
    on_gpu = session.device.type == "cuda"
    gpu_bytes = torch.cuda.get_device_properties(0).total_memory if on_gpu else None
    memories = stage_memories(told, shape, gpu_bytes=gpu_bytes, shards=lambda _config: False)
    return {memory.stage: memory.num_bytes for memory in memories}


def gib(num_bytes: float | None) -> str:
    """Bytes in GiB."""
    return "" if num_bytes is None else f"{num_bytes / 2**30:.2f}"
