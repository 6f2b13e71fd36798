"""Builds the sampler of a stage's model from the stage's configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from infra.processes.vllm_environment import run_engine_in_this_process
from schemas.configs.sampler import SamplerConfig, TransformersSamplerConfig
from thinkless_core.sampling.sampler import Sampler
from thinkless_core.sampling.sampling_copy import SamplingCopy
from thinkless_core.sampling.transformers_sampler import TransformersSampler
from thinkless_core.sampling.vllm_engine import VllmEngine
from thinkless_core.sampling.vllm_sampler import VllmSampler
from thinkless_core.training.acceleration import in_bfloat16
from thinkless_core.training.precision import Precision


class SamplerSource:
    """Samplers for the models of a stage; models of one shape share one engine."""

    def __init__(self, config: SamplerConfig, *, batch_size: int = 256, precision: Precision = "float32") -> None:
        """`batch_size` is the largest number of completions sampled at once, `precision` that of training; vLLM uses
        neither.
        """
        self._config = config
        self._precision = precision
        self._batch_size = batch_size
        self._engine: VllmEngine | None = None

    def sampler_of(self, model: PreTrainedModel, *, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Sampler:
        """A sampler that always uses the current weights of `model`; `folder` holds a saved model of the same shape.

        A vLLM engine starts at the first call of its sampler.
        """
        if isinstance(self._config, TransformersSamplerConfig):
            sampler = SamplingCopy if in_bfloat16(self._precision) else TransformersSampler
            return sampler(model, tokenizer.pad_token_id, tokenizer.eos_token_id, self._batch_size)
        if self._engine is None:
            run_engine_in_this_process()
            self._engine = VllmEngine(self._config, folder)
        return VllmSampler(model, self._engine, tokenizer.eos_token_id)

    def close(self) -> None:
        """End the engine, if there is one, and free its memory."""
        if self._engine is not None:
            self._engine.close()


@contextmanager
def sampler_source(
    config: SamplerConfig, *, batch_size: int = 256, precision: Precision = "float32"
) -> Iterator[SamplerSource]:
    """Samplers for as long as the context lasts."""
    source = SamplerSource(config, batch_size=batch_size, precision=precision)
    try:
        yield source
    finally:
        source.close()


@contextmanager
def build_sampler(
    config: SamplerConfig,
    *,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    precision: Precision = "float32",
) -> Iterator[Sampler]:
    """The sampler of one model that trains in `precision`, for as long as the context lasts."""
    with sampler_source(config, precision=precision) as source:
        yield source.sampler_of(model, tokenizer=tokenizer, folder=folder)
