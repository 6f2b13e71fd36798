"""Everything a profile needs from outside this program, by the part that needs it; from the configuration alone.

PipelineConfig -> sources by place, models and data sets of the Hub, optional packages, GPUs
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from schemas.configs.base_model import PretrainedModel
from schemas.configs.pipeline import PipelineConfig
from schemas.configs.sampler import VllmSamplerConfig
from schemas.configs.source import SourceConfig
from schemas.configs.teacher import TeacherConfig
from schemas.mode import Mode
from tasks.ask_teachers import AskTeachers


class HubModel(NamedTuple):
    """A model on the Hub."""

    id: str
    revision: str | None


@dataclass(frozen=True)
class HubData:
    """A data set on the Hub, as one place reads it."""

    id: str
    source: SourceConfig


class OptionalPackage(NamedTuple):
    """A package that not every profile needs."""

    module: str
    extra: str
    """The extra of this project that brings it."""
    place: str


def sources(config: PipelineConfig) -> dict[str, SourceConfig]:
    """Every source by its place, those that recorded teachers replay included."""
    replayed = {place: source for place, teacher in teachers(config) if (source := teacher.replayed()) is not None}
    return {**config.problems.sources(), **replayed}


def teachers(config: PipelineConfig) -> Iterator[tuple[str, TeacherConfig]]:
    """(place, teacher) of both sides."""
    for mode, side in config.teach.sides().items():
        yield f"teach.{mode}", side.teacher


def hub_models(config: PipelineConfig) -> Iterator[tuple[str, HubModel]]:
    """(place, model) of every model that is no local folder."""
    model = config.base.model
    if isinstance(model, PretrainedModel) and not is_local(model.path):
        yield "base.model", HubModel(model.path, model.revision)
    for place, teacher in teachers(config):
        weights = teacher.weights()
        if weights is not None and not is_local(weights.path):
            yield place, HubModel(weights.path, weights.revision)


def hub_data(config: PipelineConfig) -> Iterator[tuple[str, HubData]]:
    """(place, data set) of every data set that is no local file or folder."""
    for place, source in sources(config).items():
        name = source.hub_data()
        if name is not None:
            yield place, HubData(name, source)


def is_local(path: str) -> bool:
    """Whether a model is read from this machine: a folder, or a package's."""
    return path.startswith((".", "/", "package:")) or Path(path).exists()


def optional_packages(config: PipelineConfig) -> Iterator[OptionalPackage]:
    """Packages that the profile needs beside those that every profile does."""
    for place, sampler in (("rl.sampler", config.rl.sampler), ("evaluate.sampler", config.evaluate.sampler)):
        if isinstance(sampler, VllmSamplerConfig):
            yield OptionalPackage("vllm", "vllm", place)
    for place, teacher in teachers(config):
        for extra in teacher.extras():
            yield OptionalPackage(extra, extra, place)
    chosen = chain(config.problems.sources().items(), teachers(config))
    for place, kind in chosen:
        for package in kind.packages if kind.extra else ():
            yield OptionalPackage(package.replace("-", "_"), kind.extra, place)
    for place, stage in (("sft.lora", config.sft), ("rl.lora", config.rl)):
        if stage.lora is not None:
            yield OptionalPackage("peft", "lora", place)
    model = config.base.model
    if isinstance(model, PretrainedModel) and model.gguf_file is not None:
        yield OptionalPackage("gguf", "smollm2", "base.model.gguf_file")


def gpus(config: PipelineConfig) -> dict[str, int]:
    """GPUs that each stage would use at the same time, where there are any."""
    wanted = {"sft": 1, "rl": 1, "evaluate": config.evaluate.num_processes * config.evaluate.gpus_each}
    for name, stage in (("sft", config.sft), ("rl", config.rl)):
        if stage.launch is not None:
            wanted[name] = stage.launch.processes
    if isinstance(config.rl.sampler, VllmSamplerConfig):
        wanted["rl"] = max(wanted["rl"], config.rl.sampler.tensor_parallel_size)
    for mode in Mode:
        asked = AskTeachers(mode).settings(config)
        if num_gpus := asked.num_processes * asked.gpus_each:
            wanted[f"teach.{mode}"] = num_gpus
    return wanted
