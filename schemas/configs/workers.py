"""Configuration of work that several processes of one machine share out."""

from __future__ import annotations

from pydantic import Field

from schemas.configs.stage import Table


class WorkersConfig(Table):
    """Processes that take one chunk of work after the other. Their number is not part of the stage's key."""

    processes: int = Field(ge=1)
    """Processes, one per GPU (with vLLM, per `tensor_parallel_size` GPUs) or per share of a CPU's cores."""
