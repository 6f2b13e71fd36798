"""Configuration shared by both training stages: precision, memory, adapters, processes."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from schemas.configs.stage import ComputeConfig, LocalPath, Table

ALL_LINEAR = ("all-linear",)
"""Stands for the names of all linear layers."""


class LoraConfig(Table):
    """Low-rank adapters: only they and the control tokens' embeddings are trained; merged into the weights at the end.

    Needs peft (extra `lora`).
    """

    rank: int = Field(16, ge=1)
    """Rank of an adapter."""
    alpha: float = Field(32.0, gt=0)
    """An adapter's output is multiplied by alpha / rank."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout before an adapter."""
    target_modules: tuple[str, ...] = Field(ALL_LINEAR, min_length=1)
    """Names of the adapted linear layers, such as q_proj and v_proj; `all-linear`: all but the output head."""


ACCELERATE_CONFIGS = ("ddp", "fsdp2", "single")
"""Configurations of accelerate that come with this program, in infra/processes/accelerate/."""


class LaunchConfig(Table):
    """Training in several processes, which `accelerate launch` starts."""

    processes: int = Field(ge=1)
    """Processes on each machine, one per GPU (or per share of a CPU's cores)."""
    machines: int = Field(1, ge=1)
    """Machines that train as one. More than one needs an allocation of Slurm with as many nodes, in which the run or
    its Prefect worker was started, and a store that all of them see (docs/cluster.md)."""
    accelerate_config: LocalPath = Field("ddp", min_length=1)
    """Parallelism: `single`, `ddp` or `fsdp2` (files in infra/processes/accelerate/), or the path of your own
    configuration file of accelerate."""

    @property
    def total(self) -> int:
        """Processes on all machines together."""
        return self.processes * self.machines

    def local_paths(self) -> tuple[str, ...]:
        """A configuration file of the user's."""
        return () if self.resources() else (self.accelerate_config,)

    def resources(self) -> tuple[str, ...]:
        """A shipped configuration file."""
        if self.accelerate_config not in ACCELERATE_CONFIGS:
            return ()
        return (f"infra/processes/accelerate/{self.accelerate_config}.yaml",)


class TrainingConfig(ComputeConfig):
    """Configuration of a stage that trains a model."""

    stage: ClassVar[str]
    """Name of the stage, for errors that name a key."""
    precision: Literal["float32", "mixed", "auto"] = "float32"
    """`mixed` keeps weights and optimiser in float32 and computes in bfloat16: faster if the hardware has units for it,
    several times slower if not. `auto` takes what the machine is faster in."""
    gradient_checkpointing: bool = False
    """Recompute activations for the gradient instead of storing them: less memory, about a third more time."""
    lora: LoraConfig | None = None
    """Train low-rank adapters instead of all weights. None trains all."""
    launch: LaunchConfig | None = None
    """Train in several processes. None trains in this one."""

    @property
    def needs_a_fit_student(self) -> bool:
        """Whether some models cannot be trained so: with adapters, or recomputed activations."""
        return self.lora is not None or self.gradient_checkpointing
