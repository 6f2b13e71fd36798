"""What each stage of a run will hold in memory: its settings put into the formulas of memory_formulas.py.

PipelineConfig + ModelShape + memory of one GPU (None: a CPU) -> StageMemory of each stage that has the student
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from schemas.configs.evaluate import EvaluateConfig
from schemas.configs.pipeline import PipelineConfig
from schemas.configs.rl import RlConfig
from schemas.configs.sampler import SamplerConfig, VllmSamplerConfig
from schemas.configs.schedule import values
from schemas.configs.training import TrainingConfig
from schemas.mode import Mode
from thinkless_core.estimates.memory_formulas import (
    ModelShape,
    StageMemory,
    Term,
    TrainingSize,
    engine_term,
    learning_terms,
    sampling_terms,
    training_state,
)

PROMPT_TOKENS = 256
"""Assumed length of a prompt; problems of GSM8K and MATH have about 100 tokens, the template included."""
OWN_SAMPLER_ROWS = 256
"""Rows side by side in this project's own sampler."""
ENGINE_CPU_CACHE = 2**30
"""What vLLM's cache takes on a CPU where nothing else is said."""


def stage_memories(
    config: PipelineConfig, shape: ModelShape, *, gpu_bytes: int | None, shards: Callable[[str], bool]
) -> Iterator[StageMemory]:
    """Warm-up, RL and evaluation, per GPU (per process, on a CPU); `shards` says of an accelerate configuration whether
    it spreads the model. `precision="auto"` is taken for bfloat16 on a GPU and for float32, which is more, on a CPU.
    """
    config = _settled(config, on_gpu=gpu_bytes is not None)
    prompt = prompt_tokens(shape)
    longest_answer = max(config.teach.think.max_tokens, config.teach.short.max_tokens)
    size = _training_size(
        config.sft,
        micro_batch_tokens=config.sft.micro_batch_tokens,
        longest=prompt + longest_answer,
        shards=shards,
    )
    yield StageMemory("sft", training_state(shape, size), learning=learning_terms(shape, size))
    yield _rl(config.rl, shape, gpu_bytes=gpu_bytes, shards=shards)
    yield _evaluate(config.evaluate, shape, gpu_bytes=gpu_bytes)


def _settled(config: PipelineConfig, *, on_gpu: bool) -> PipelineConfig:
    """The configuration without a precision `auto`."""
    chosen = {
        name: stage.model_copy(update={"precision": low if on_gpu else "float32"})
        for name, stage, low in (
            ("sft", config.sft, "mixed"),
            ("rl", config.rl, "mixed"),
            ("evaluate", config.evaluate, "bfloat16"),
        )
        if stage.precision == "auto"
    }
    return config.model_copy(update=chosen)


def prompt_tokens(shape: ModelShape) -> int:
    """Assumed length of a prompt, never more than an eighth of a known context."""
    return min(PROMPT_TOKENS, shape.context // 8) if shape.context else PROMPT_TOKENS


def longest_rollout(config: RlConfig) -> int:
    """The token limit of the step that has the highest."""
    return round(max(values(config.max_new_tokens, num_steps=config.steps)))


def num_processes(config: TrainingConfig) -> int:
    """Processes that a stage trains in, on all machines."""
    return config.launch.total if config.launch is not None else 1


def _training_size(
    config: TrainingConfig, *, micro_batch_tokens: int, longest: int, shards: Callable[[str], bool]
) -> TrainingSize:
    sharded = config.launch is not None and shards(config.launch.accelerate_config)
    return TrainingSize(
        micro_batch_tokens=max(micro_batch_tokens, longest),
        mixed=config.precision == "mixed",
        gradient_checkpointing=config.gradient_checkpointing,
        lora_rank=None if config.lora is None else config.lora.rank,
        sharded_over=num_processes(config) if sharded else 1,
    )


def _rl(config: RlConfig, shape: ModelShape, *, gpu_bytes: int | None, shards: Callable[[str], bool]) -> StageMemory:
    tokens = prompt_tokens(shape) + longest_rollout(config)
    size = _training_size(config, micro_batch_tokens=config.micro_batch_tokens, longest=tokens, shards=shards)
    held = list(training_state(shape, size))
    if config.lora is None and max(values(config.kl_coef, num_steps=config.steps)) > 0:
        over = "" if size.sharded_over == 1 else " / N"
        frozen = shape.frozen_bytes(mixed=size.mixed) // size.sharded_over
        held.append(Term("reference", frozen, f"{_frozen_formula(mixed=size.mixed)}{over}"))
    own_sampler = not isinstance(config.sampler, VllmSamplerConfig)
    if own_sampler and size.mixed:
        held.append(Term("sampling copy", shape.frozen_bytes(mixed=True), _frozen_formula(mixed=True)))
    completions = -(-config.prompts_per_step * config.group_size // num_processes(config))
    sampling = _sampling(
        config.sampler, shape, rows=completions, tokens=tokens, width=2 if size.mixed else 4, gpu_bytes=gpu_bytes
    )
    learning = learning_terms(shape, size)
    if isinstance(config.sampler, VllmSamplerConfig) and not (config.sampler.sleep and gpu_bytes):
        return StageMemory("rl", (*held, *sampling), learning=learning)
    return StageMemory("rl", tuple(held), learning=learning, sampling=sampling)


def _frozen_formula(*, mixed: bool) -> str:
    return "(2 P + 4 V h)" if mixed else "4 P"


def _evaluate(config: EvaluateConfig, shape: ModelShape, *, gpu_bytes: int | None) -> StageMemory:
    width = 2 if config.precision == "bfloat16" else 4
    tokens = prompt_tokens(shape) + config.max_new_tokens
    asked = None if config.limit is None else config.limit * config.num_samples * len(Mode)
    rows = config.batch_size if asked is None else min(config.batch_size, asked)
    sampling = _sampling(config.sampler, shape, rows=rows, tokens=tokens, width=width, gpu_bytes=gpu_bytes)
    return StageMemory("evaluate", (Term("weights", width * shape.parameters, f"{width} P"),), sampling=sampling)


def _sampling(
    sampler: SamplerConfig, shape: ModelShape, *, rows: int, tokens: int, width: int, gpu_bytes: int | None
) -> tuple[Term, ...]:
    if not isinstance(sampler, VllmSamplerConfig):
        return sampling_terms(shape, rows=min(rows, OWN_SAMPLER_ROWS), tokens=tokens, width=width)
    if gpu_bytes is not None:
        return (engine_term(share=sampler.gpu_memory_utilization, gpu_bytes=gpu_bytes),)
    cache = ENGINE_CPU_CACHE if sampler.kv_cache_gb is None else round(sampler.kv_cache_gb * 2**30)
    return (Term("vLLM", 4 * shape.parameters + cache, "4 P + its cache"),)
