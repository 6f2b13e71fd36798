"""Configuration of stage `evaluate`: which models, in three modes each, on every benchmark."""

from __future__ import annotations

from typing import Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from schemas.configs.sampler import SamplerConfig, TransformersSamplerConfig, VllmSamplerConfig
from schemas.configs.stage import ComputeConfig
from schemas.configs.workers import WorkersConfig

ModelName = Literal["base", "sft", "rl"]
"""A model of the pipeline, by the stage that made it."""
MODELS: tuple[ModelName, ...] = get_args(ModelName)
"""All of them, in the order of the pipeline."""


class EvaluateConfig(ComputeConfig):
    """Configuration of the evaluation: models, sampling and limits."""

    models: tuple[ModelName, ...] = Field(MODELS, min_length=1)
    """Models to evaluate: base, warm-up (`sft`), policy (`rl`). The stage depends on no other model."""
    benchmarks: tuple[str, ...] = ()
    """Benchmarks to evaluate on, of those in problems.benchmarks; empty: all."""
    temperature: float = Field(0.6, gt=0)
    """Sampling temperature (paper: 0.6)."""
    top_p: float = Field(0.95, gt=0, le=1)
    """Nucleus of the sampling distribution (paper: 0.95)."""
    num_samples: int = Field(1, ge=1)
    """Completions per problem, model and mode (paper: 5). With one, a lucky guess looks like ability to the oracle."""
    max_new_tokens: int = Field(ge=2)
    """Token limit of a completion; a longer one is truncated and counts as wrong."""
    short_max_tokens: int = Field(ge=1)
    """A short completion with more tokens is counted as fake short."""
    router_threshold: float = Field(0.5, ge=0, le=1)
    """The threshold router thinks if P(think) is above this; 0.5 is the greedy choice. Not tuned on the benchmarks."""
    limit: int | None = Field(None, ge=1)
    """Use only the first problems of each benchmark, for a quick look."""
    batch_size: int = Field(256, ge=1)
    """Completions sampled at once; changes memory and speed, not the completions."""
    precision: Literal["float32", "bfloat16", "auto"] = "float32"
    """Type of the weights: bfloat16 halves memory and, if the hardware has it, time; accuracies differ by rounding.
    `auto` takes what the machine is faster in."""
    sampler: SamplerConfig = TransformersSamplerConfig()
    """Sampler of the completions."""
    launch: WorkersConfig | None = None
    """Evaluate in several processes. None evaluates in this one. With the transformers sampler and a fixed
    `num_threads` the result has the same bytes for any number."""

    @property
    def num_processes(self) -> int:
        """Processes that evaluate."""
        return self.launch.processes if self.launch is not None else 1

    @property
    def gpus_each(self) -> int:
        """GPUs that each of them uses, if there are any."""
        return self.sampler.tensor_parallel_size if isinstance(self.sampler, VllmSamplerConfig) else 1

    @field_validator("models")
    @classmethod
    def _models_in_the_order_of_the_pipeline(cls, models: tuple[ModelName, ...]) -> tuple[ModelName, ...]:
        """Sort the models, so that their order in a profile does not change the key."""
        if len(set(models)) < len(models):
            raise ValueError(f"got {', '.join(models)}, expected each model once; leave out the repetition")
        return tuple(name for name in MODELS if name in models)

    @model_validator(mode="after")
    def _short_limit_can_be_met(self) -> Self:
        if self.short_max_tokens > self.max_new_tokens:
            raise ValueError(
                f"short_max_tokens={self.short_max_tokens} is over max_new_tokens={self.max_new_tokens}, "
                "so it would have no effect; lower it"
            )
        return self
