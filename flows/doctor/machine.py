"""Checks of the machine: store, disk, GPUs, memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import psutil

from flows.doctor.finding import Finding, checked
from flows.doctor.needs import gpus
from flows.request import checked_settings
from infra.settings import Settings
from schemas.configs.pipeline import PipelineConfig
from thinkless_core.estimates.data_sizes import StageData, most_disk
from thinkless_core.estimates.memory_formulas import ModelShape, StageMemory
from thinkless_core.estimates.stage_memory import num_processes
from thinkless_core.estimates.work_estimate import Machine, StageWork

ASSUMED_GPU = "H100 of 80 GB"
"""The GPU that sizes and hours assume if a profile needs GPUs and there are none."""
ASSUMED_GPU_BYTES = 80 * 10**9
CPU_DAYS = 2.0
"""A profile that would compute longer than this on this CPU needs GPUs."""
SPARE_DISK_BYTES = 500 * 2**20
"""Room for documents, logs and the catalog beside models and texts."""


class Hardware(NamedTuple):
    """What there is."""

    num_cores: int
    ram_bytes: int
    """Free."""
    gpu_names: tuple[str, ...]
    gpu_bytes: int
    """Memory of the smallest GPU; 0 if there is none."""

    @classmethod
    def here(cls) -> Hardware:
        """This machine."""
        import torch  # slow import

        found = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        smallest = min((gpu.total_memory for gpu in found), default=0)
        return cls(cores, psutil.virtual_memory().available, tuple(gpu.name for gpu in found), smallest)


class Plan(NamedTuple):
    """What a run will be estimated for: the GPUs at hand, the CPU, or GPUs that are missing."""

    machine: Machine
    gpu_bytes: int | None
    """None on a CPU."""
    gpus_missing: bool


def plan_for(works: list[StageWork], hardware: Hardware) -> Plan:
    """GPUs if there are any or if the CPU would take days, else the CPU."""
    if hardware.gpu_names:
        return Plan(Machine.gpu(hardware.gpu_names[0]), hardware.gpu_bytes, gpus_missing=False)
    cpu = Machine.cpu(hardware.num_cores)
    if cpu_days(works, hardware) <= CPU_DAYS:
        return Plan(cpu, None, gpus_missing=False)
    return Plan(Machine.gpu(ASSUMED_GPU), ASSUMED_GPU_BYTES, gpus_missing=True)


def cpu_days(works: list[StageWork], hardware: Hardware) -> float:
    """Days that all stages would take on this machine's cores."""
    return sum(work.device_hours(Machine.cpu(hardware.num_cores)) or 0.0 for work in works) / 24


def store() -> Finding:
    """Whether the store can be written."""
    return checked("store", lambda: f"{checked_settings().home} can be written")


def graphics(config: PipelineConfig, works: list[StageWork], hardware: Hardware) -> Iterator[Finding]:
    """Whether there are as many GPUs as the stages use; nothing to say if the CPU will do."""
    wanted, found = gpus(config), len(hardware.gpu_names)
    most = max(wanted.values())
    users = ", ".join(f"{stage} {number}" for stage, number in wanted.items() if number == most)
    if found:
        text = f"{found} x {hardware.gpu_names[0]}, {hardware.gpu_bytes / 1e9:.0f} GB each"
        fine = found >= most
        yield Finding("GPUs", fine, text if fine else f"{text}; {most} are wanted ({users}): lower launch.processes")
        return
    if plan_for(works, hardware).gpus_missing:
        days = cpu_days(works, hardware)
        span = f"{days / 365:.0f} years" if days > 730 else f"{days:.0f} days"
        yield Finding(
            "GPUs", False,
            f"no CUDA device found, {most} wanted ({users}); the {hardware.num_cores} CPU cores here would take about "
            f"{span}",
        )  # fmt: skip


def memory(
    config: PipelineConfig, stages: list[StageMemory] | None, plan: Plan, hardware: Hardware
) -> Iterator[Finding]:
    """Whether each stage fits; GPUs that are not there are spoken of once, and not here."""
    free = f"{hardware.ram_bytes / 2**30:.1f} GiB free"
    if stages is None:
        yield Finding("memory", True, f"{free}; the student's size is not known before loading")
        return
    if plan.gpus_missing:
        return
    processes = {
        "sft": num_processes(config.sft),
        "rl": num_processes(config.rl),
        "evaluate": config.evaluate.num_processes,
    }
    available = plan.gpu_bytes or hardware.ram_bytes
    too_large = []
    for stage in stages:
        # Processes on a CPU share its memory.
        needed = stage.num_bytes * (1 if plan.gpu_bytes else processes.get(stage.stage, 1))
        if needed > available:
            too_large.append(
                Finding(
                    "memory", False,
                    f"{stage.stage} needs about {gigabytes(needed)}, and there are {gigabytes(available)}; "
                    f"{_way_out(stage.stage)}",
                )
            )  # fmt: skip
    yield from too_large
    if not too_large:
        largest = max(stages, key=lambda stage: stage.num_bytes)
        where = f"{gigabytes(available)} per GPU" if plan.gpu_bytes else free
        yield Finding("memory", True, f"{where}; {largest.stage} needs the most, about {gigabytes(largest.num_bytes)}")


def data_memory(
    data: Sequence[StageData], stages: list[StageMemory] | None, plan: Plan, hardware: Hardware
) -> Iterator[Finding]:
    """Whether the rows of each stage fit into main memory, on a CPU beside the model that it trains."""
    models = {stage.stage: stage.num_bytes for stage in stages or () if plan.gpu_bytes is None}
    for stage in data:
        needed = stage.memory + models.get(stage.stage, 0)
        if stage.memory and needed > hardware.ram_bytes:
            yield Finding(
                "memory", False,
                f"{stage.stage} needs about {gigabytes(needed)} of main memory, {gigabytes(stage.memory)} of it for "
                f"rows and texts, and {gigabytes(hardware.ram_bytes)} are free; give problems.source a lower limit",
            )  # fmt: skip


def disk(shape: ModelShape | None, data: Sequence[StageData], downloads: int, *, rows_known: bool) -> Finding:
    """Whether models, checkpoints, rows and texts at their worst moment, and downloads will fit."""
    home = Settings.from_environment().home
    existing = next(p for p in (home, *home.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    texts = most_disk(data)
    parameters = 0 if shape is None else shape.parameters
    # Three models in float32; while a checkpoint replaces the one before it, two of weights and optimiser state.
    needed = SPARE_DISK_BYTES + parameters * (3 * 4 + 2 * 12) + downloads + texts
    missing = ["the student's size"] * (shape is None) + ["the number of problems"] * (not rows_known)
    unknown = f", more than this: {' and '.join(missing)} {'are' if missing[1:] else 'is'} not known" if missing else ""
    text = (
        f"{gigabytes(free)} free at {existing}, about {gigabytes(needed)} needed{unknown} (three models 12 P, two "
        f"checkpoints 24 P, {gigabytes(downloads)} of downloads, {gigabytes(texts)} of data)"
    )
    return Finding("disk", free > needed, text if free > needed else f"{text}; free some, or set THINKLESS_HOME")


def gigabytes(num_bytes: float) -> str:
    """A size in words of a person: GB, or MB below one."""
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.0f} MB"


def _way_out(stage: str) -> str:
    ways: Mapping[str, str] = {
        "sft": "lower sft.micro_batch_tokens, or set sft.gradient_checkpointing, sft.precision=mixed or sft.lora",
        "rl": "lower rl.micro_batch_tokens, rl.max_new_tokens or rl.sampler.gpu_memory_utilization, or set "
        "rl.gradient_checkpointing, rl.precision=mixed or rl.lora",
        "evaluate": "lower evaluate.batch_size or evaluate.max_new_tokens, or set evaluate.precision=bfloat16",
    }
    return ways[stage]
