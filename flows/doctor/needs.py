"""What a profile needs from outside of this program, and for what: read off the configuration alone.

PipelineConfig -> sources by place, models and data sets of the Hub, optional packages, GPUs
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from schemas.configs.base_model import PretrainedModel
from schemas.configs.pipeline import PipelineConfig
from schemas.configs.problems import HubSource, PresetSource, Source
from schemas.configs.sampler import VllmSamplerConfig
from schemas.configs.teach import InProcessTeacher, RecordedTeacher, Teacher, VllmTeacher, WorkedSolutionsTeacher


class HubModel(NamedTuple):
    """A model on the Hub."""

    id: str
    revision: str | None


@dataclass(frozen=True)
class HubData:
    """A data set on the Hub, as one place reads it."""

    id: str
    source: HubSource | PresetSource


class OptionalPackage(NamedTuple):
    """A package that not every profile needs."""

    module: str
    extra: str
    """The extra of this project that brings it."""
    place: str


def sources(config: PipelineConfig) -> dict[str, Source]:
    """Where problems come from, by place; recorded teachers have theirs beside these."""
    found: dict[str, Source] = {"source": config.problems.source}
    if config.problems.rl_source is not None:
        found["rl_source"] = config.problems.rl_source
    return found | config.problems.benchmarks


def teachers(config: PipelineConfig) -> Iterator[tuple[str, Teacher]]:
    """(place, teacher) of both sides."""
    for mode, side in config.teach.sides().items():
        yield f"teach.{mode}", side.teacher


def hub_models(config: PipelineConfig) -> Iterator[tuple[str, HubModel]]:
    """(place, model) of every model that is no local folder."""
    model = config.base.model
    if isinstance(model, PretrainedModel) and not is_local(model.path):
        yield "base.model", HubModel(model.path, model.revision)
    for place, teacher in teachers(config):
        if isinstance(teacher, InProcessTeacher) and not is_local(teacher.model):
            yield place, HubModel(teacher.model, teacher.revision)


def hub_data(config: PipelineConfig) -> Iterator[tuple[str, HubData]]:
    """(place, data set) of every data set that is no local file or folder."""
    read: dict[str, object] = {**sources(config)}
    for place, teacher in teachers(config):
        if isinstance(teacher, RecordedTeacher | WorkedSolutionsTeacher):
            read[place] = teacher.source
    for place, source in read.items():
        if isinstance(source, PresetSource) and source.path is None:
            from thinkless_core.problems.presets import PRESETS

            yield place, HubData(PRESETS[source.name].hub.id, source)
        if isinstance(source, HubSource) and not source.is_folder:
            yield place, HubData(source.id, source)


def is_local(path: str) -> bool:
    """Whether a model is read from this machine: a folder, or a package's."""
    return path.startswith((".", "/", "package:")) or Path(path).exists()


def optional_packages(config: PipelineConfig) -> Iterator[OptionalPackage]:
    """Packages that the profile needs beside those that every profile does."""
    for place, sampler in (("rl.sampler", config.rl.sampler), ("evaluate.sampler", config.evaluate.sampler)):
        if isinstance(sampler, VllmSamplerConfig):
            yield OptionalPackage("vllm", "vllm", place)
    for place, teacher in teachers(config):
        if isinstance(teacher, VllmTeacher):
            yield OptionalPackage("vllm", "vllm", place)
    for place, stage in (("sft.lora", config.sft), ("rl.lora", config.rl)):
        if stage.lora is not None:
            yield OptionalPackage("peft", "lora", place)
    model = config.base.model
    if isinstance(model, PretrainedModel) and model.gguf_file is not None:
        yield OptionalPackage("gguf", "smollm2", "base.model.gguf_file")


def gpus(config: PipelineConfig) -> dict[str, int]:
    """GPUs that each stage would use at the same time, where there are any."""
    wanted = {"sft": 1, "rl": 1, "evaluate": 1}
    for name, stage in (("sft", config.sft), ("rl", config.rl)):
        if stage.launch is not None:
            wanted[name] = stage.launch.processes
    samplers = {"rl": config.rl.sampler, "evaluate": config.evaluate.sampler}
    for name, sampler in samplers.items():
        if isinstance(sampler, VllmSamplerConfig):
            wanted[name] = max(wanted[name], sampler.tensor_parallel_size)
    for name, teacher in teachers(config):
        if isinstance(teacher, VllmTeacher):
            wanted[name] = teacher.tensor_parallel_size
    return wanted
