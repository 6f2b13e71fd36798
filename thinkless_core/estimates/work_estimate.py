"""How many tokens a run will generate and how long it will compute, to an order of magnitude: arithmetic, no torch.

PipelineConfig + ModelShape + numbers of problems -> StageWork per stage -> hours on a machine

A token costs 2 P operations to sample, 6 P to learn from (8 P with gradient checkpointing), 2 P for each further
reading (reference, old policy); attention, a few per cent at thousands of tokens, is left out.
Nobody knows how long completions will be. The most is every completion at its limit; what is likely is taken to be
MEAN_SHARE of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from schemas.configs.pipeline import PipelineConfig
from schemas.configs.sampler import SamplerConfig, VllmSamplerConfig
from schemas.configs.schedule import values
from schemas.configs.teach import TeacherSide
from thinkless_core.estimates.memory_formulas import ModelShape
from thinkless_core.estimates.stage_memory import num_processes, prompt_tokens

MEAN_SHARE = 0.25
"""Assumed mean length of completions over their limit. R1-Distill-Qwen-1.5B under 32768 tokens: 0.06 on GSM8K, 0.17 on
MATH-500, 0.55 on AIME 2024 (arXiv 2505.13379)."""
SAMPLING_SHARE, TRAINING_SHARE = 0.03, 0.35
"""Assumed shares of a GPU's peak: sampling through vLLM at lengths of thousands, and training."""
OWN_SAMPLER_SLOWER = 10
"""This project's own sampler, on a GPU, against vLLM; assumed."""
FLOAT32_SLOWER = 10
"""A GPU in float32 against bfloat16."""
CPU_PEAK, CPU_SAMPLING_SHARE, CPU_TRAINING_SHARE = 1e11, 0.05, 0.4
"""Float32 operations per second of one core, and what of them sampling and training come to."""
GPU_PEAKS: Mapping[str, float] = {
    "H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12, "3090": 71e12, "A10": 125e12,
    "L4": 121e12, "V100": 125e12, "T4": 65e12,
}  # fmt: skip
"""Dense bfloat16 (or float16) operations per second, by a part of the name, as their makers say."""


@dataclass(frozen=True)
class Machine:
    """What computes, and how fast it is taken to be."""

    name: str
    sampling_flops: float
    """Per GPU (on a CPU: of all cores) while sampling through vLLM, and on a CPU in any way."""
    training_flops: float
    is_gpu: bool

    @classmethod
    def gpu(cls, name: str) -> Machine:
        """A GPU by its name; one that is not known is taken for an A100."""
        peak = next((peak for part, peak in GPU_PEAKS.items() if part in name), GPU_PEAKS["A100"])
        return cls(name, SAMPLING_SHARE * peak, TRAINING_SHARE * peak, is_gpu=True)

    @classmethod
    def cpu(cls, num_cores: int) -> Machine:
        """A CPU."""
        peak = CPU_PEAK * num_cores
        return cls(f"{num_cores} CPU cores", CPU_SAMPLING_SHARE * peak, CPU_TRAINING_SHARE * peak, is_gpu=False)


class StageWork(NamedTuple):
    """What one stage samples and learns."""

    stage: str
    most_tokens: int
    """Generated, every completion at its limit."""
    likely_tokens: int
    parameters: float | None
    """Of the model that samples; None where it runs elsewhere or is of unknown size."""
    training_operations: float = 0.0
    devices: int = 1
    own_sampler: bool = False
    float32: bool = False
    note: str = ""

    def device_hours(self, machine: Machine) -> float | None:
        """Hours times devices; None where nobody can tell."""
        if self.parameters is None:
            return None
        sampling, training = machine.sampling_flops, machine.training_flops
        if machine.is_gpu:
            sampling /= OWN_SAMPLER_SLOWER if self.own_sampler else 1
            training /= FLOAT32_SLOWER if self.float32 else 1
        seconds = 2 * self.parameters * self.likely_tokens / sampling + self.training_operations / training
        return seconds / 3600


def stage_works(
    config: PipelineConfig, shape: ModelShape, *, problems: Mapping[str, int | None]
) -> Iterator[StageWork]:
    """Work of every stage; `problems` are numbers of problems: `source`, `rl_source` and each benchmark by its name."""
    taught = problems["source"]
    if taught is not None and config.problems.rl_source is None:
        taught = round(taught * (1 - config.problems.rl_share))
    for mode, side in config.teach.sides().items():
        if side.teacher.endpoint() is not None or side.teacher.weights() is not None:
            yield _teach(f"teach {mode}", side, taught)
    yield _sft(config, shape)
    yield _rl(config, shape)
    yield _evaluate(config, shape, problems=problems)


def _teach(stage: str, side: TeacherSide, taught: int | None) -> StageWork:
    teacher = side.teacher
    most = (taught or 0) * side.max_tokens
    note = "number of problems not known" if taught is None else ""
    if teacher.rules().num_samples > 1:
        note = f"up to {teacher.rules().num_samples} times as many where first answers are wrong"
    endpoint, weights = teacher.endpoint(), teacher.weights()
    if endpoint is not None:
        return StageWork(stage, most, round(MEAN_SHARE * most), None, note=f"at {endpoint.base_url}")
    named = re.search(r"(\d+(?:\.\d+)?)[bB]\b", weights.path if weights is not None else "")
    return StageWork(
        stage,
        most,
        round(MEAN_SHARE * most),
        float(named[1]) * 1e9 if named and taught is not None else None,
        devices=max(1, teacher.num_gpus()),
        own_sampler=teacher.num_gpus() == 0,
        note=note,
    )


def _sft(config: PipelineConfig, shape: ModelShape) -> StageWork:
    sft = config.sft
    per_pair = sum(prompt_tokens(shape) + MEAN_SHARE * side.max_tokens for side in config.teach.sides().values())
    learned = sft.steps * sft.pairs_per_step * per_pair
    return StageWork(
        "sft",
        0,
        0,
        shape.parameters,
        training_operations=_per_token(gradient_checkpointing=sft.gradient_checkpointing) * shape.parameters * learned,
        devices=num_processes(sft),
        float32=sft.precision == "float32",
    )


def _rl(config: PipelineConfig, shape: ModelShape) -> StageWork:
    rl = config.rl
    limit = sum(values(rl.max_new_tokens, num_steps=rl.steps)) / rl.steps
    completions = rl.steps * rl.prompts_per_step * rl.group_size
    likely = completions * MEAN_SHARE * (limit + min(rl.short_max_tokens, limit)) / 2
    readings = (max(values(rl.kl_coef, num_steps=rl.steps)) > 0) + (rl.updates_per_step > 1)
    per_token = _per_token(gradient_checkpointing=rl.gradient_checkpointing) + 2 * readings
    learned = likely + completions / rl.group_size * prompt_tokens(shape)  # a group's prompt is read once
    return StageWork(
        "rl",
        round(completions * limit),
        round(likely),
        shape.parameters,
        training_operations=per_token * shape.parameters * learned,
        devices=max(num_processes(rl), _devices(rl.sampler)),
        own_sampler=not isinstance(rl.sampler, VllmSamplerConfig),
        float32=rl.precision == "float32",
    )


def _evaluate(config: PipelineConfig, shape: ModelShape, *, problems: Mapping[str, int | None]) -> StageWork:
    ev = config.evaluate
    sizes = {name: problems[name] for name in ev.benchmarks or config.problems.benchmarks}
    asked = sum(min(size, ev.limit) if ev.limit and size else (ev.limit or size or 0) for size in sizes.values())
    answers = asked * ev.num_samples * len(ev.models)  # in each mode; what the free mode says is one of them
    unknown = [name for name, size in sizes.items() if size is None and ev.limit is None]
    return StageWork(
        "evaluate",
        answers * 2 * ev.max_new_tokens,
        round(answers * MEAN_SHARE * (ev.max_new_tokens + ev.short_max_tokens)),
        shape.parameters,
        devices=ev.num_processes * ev.gpus_each,
        own_sampler=not isinstance(ev.sampler, VllmSamplerConfig),
        note=f"without {', '.join(unknown)}: number of problems not known" if unknown else "",
    )


def _per_token(*, gradient_checkpointing: bool) -> int:
    return 8 if gradient_checkpointing else 6


def _devices(sampler: SamplerConfig) -> int:
    return sampler.tensor_parallel_size if isinstance(sampler, VllmSamplerConfig) else 1
