"""A profile for a user's own model and data, from five answers.

answers -> where model, problems, long and short answers and the benchmark come from; sizes for the machine -> table
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import pyarrow.parquet as pq

from flows.commented_toml import Nested
from schemas.configs.base_model import PACKAGE, PretrainedModel
from schemas.configs.presets import PRESETS
from schemas.errors import ConfigError, nearest

Machine = Literal["cpu", "cpu-hours", "gpu"]
INSTRUCTION = "Put the final answer within \\boxed{}."
SELF = "self"
GYM = "gym:"
"""Prefix of task sets of reasoning_gym, which programs make, solve and judge."""
PROMPT_FIELDS, ANSWER_FIELDS = ("prompt", "question", "problem"), ("answer", "solution", "reference")


class Answers(NamedTuple):
    """What the user has said."""

    model: str
    problems: str
    long_answers: str
    machine: str
    benchmark: str


class Size(NamedTuple):
    """What a machine has time and memory for; from profiles smollm2_gsm8k, smollm2 and one_gpu."""

    num_problems: int
    long_tokens: int
    short_tokens: int
    sft_steps: int
    pairs_per_step: int
    rl_steps: int
    prompts_per_step: int
    group_size: int
    micro_batch_tokens: int
    learning_rate: float
    rl_learning_rate: float
    benchmark_problems: int


SIZES: Mapping[str, Size] = {
    "cpu": Size(600, 640, 320, 60, 8, 6, 8, 4, 1024, 3e-4, 5e-6, 50),
    "cpu-hours": Size(4000, 640, 320, 250, 16, 32, 16, 6, 1024, 3e-4, 3e-5, 200),
    "gpu": Size(12000, 4096, 1024, 600, 16, 200, 32, 8, 8192, 2e-5, 1e-6, 500),
}


def own_profile(answers: Answers) -> Nested:
    """The profile's table; raises ConfigError for an answer that names nothing."""
    if answers.machine not in SIZES:
        raise ConfigError(f"machine {answers.machine!r}; {nearest(answers.machine, get_args(Machine))}")
    size = SIZES[answers.machine]
    benchmark = answers.benchmark
    judged_by_programs = answers.problems.startswith(GYM) and benchmark.startswith(GYM)
    think, short = _teachers(answers)
    return {
        "seed": 0,
        "base": {"model": _model(answers.model)},
        "problems": {
            **({} if judged_by_programs else {"instruction": INSTRUCTION}),
            "source": _source(answers.problems, limit=size.num_problems, split="train"),
            "benchmarks": {"held_out": _source(benchmark, limit=size.benchmark_problems, split="test")},
        },
        "teach": {
            "think": {"max_tokens": size.long_tokens, "teacher": think},
            "short": {"max_tokens": size.short_tokens, "teacher": short},
        },
        "pairs": {"truncated": "drop", "incorrect": "drop"},
        **_trainings(size),
        "evaluate": {
            "max_new_tokens": size.long_tokens,
            "short_max_tokens": size.short_tokens,
            "batch_size": 64,
            "precision": "auto",
        },
        "report": {},
    }


def _trainings(size: Size) -> Nested:
    both: Nested = {"micro_batch_tokens": size.micro_batch_tokens, "precision": "auto"}
    return {
        "sft": {
            "steps": size.sft_steps,
            "pairs_per_step": size.pairs_per_step,
            **both,
            "validate_every": 20,
            "checkpoint_every": 20,
            "optimizer": {
                "learning_rate": size.learning_rate,
                "warmup_steps": max(1, size.sft_steps // 10),
                "decay_fraction": 0.6,
            },
        },
        "rl": {
            "steps": size.rl_steps,
            "prompts_per_step": size.prompts_per_step,
            "group_size": size.group_size,
            "gamma": 0.5,
            "max_new_tokens": size.long_tokens,
            "short_max_tokens": size.short_tokens,
            **both,
            "probe_every": 4,
            "checkpoint_every": 2,
            "optimizer": {"learning_rate": size.rl_learning_rate},
        },
    }


def _model(name: str) -> Nested:
    """A folder, Hub id or package; a lone GGUF file in a folder is named."""
    path = str(Path(name).expanduser().resolve()) if Path(name).expanduser().exists() else name
    folder = Path(PretrainedModel(path=path).location)
    files = sorted(file.name for file in folder.glob("*.gguf")) if folder.is_dir() else []
    is_gguf = len(files) == 1 and not any(folder.glob("*.safetensors"))
    return {"kind": "pretrained", "path": path, **({"gguf_file": files[0]} if is_gguf else {})}


def _source(name: str, *, limit: int, split: str) -> Nested:
    """A file, a data set by name, a Hub id (`owner/name`) or `gym:TASKS`."""
    path = Path(name).expanduser()
    if name.startswith(GYM):
        return {"kind": "gym", "tasks": name.removeprefix(GYM), "num_problems": limit}
    if name in PRESETS:
        splits = PRESETS[name].rows
        return {"kind": "preset", "name": name, **({"split": split} if split in splits else {}), "limit": limit}
    if path.is_file():
        return {"kind": "local", "path": str(path.resolve()), **_fields(path), "limit": limit}
    if name.count("/") == 1 and not path.suffix:
        return {"kind": "hub", "id": name, "split": split, "limit": limit}
    raise ConfigError(
        f"problems {name!r}: no such file, and no data set that is known by name; {nearest(name, PRESETS)} "
        "(or give a .jsonl, .json or .parquet file, owner/name on the Hub, or gym:graded)"
    )


def _fields(path: Path) -> Nested:
    """Fields of problem and answer, by the first row, if they have usual names; else the source's defaults."""
    columns = _columns(path)
    prompt = next((name for name in PROMPT_FIELDS if name in columns), None)
    answer = next((name for name in ANSWER_FIELDS if name in columns), None)
    named = {"prompt_field": prompt, "answer_field": answer}
    return {field: name for field, name in named.items() if name is not None}


def _columns(path: Path) -> list[str]:
    try:
        if path.suffix == ".parquet":
            return list(pq.read_schema(path).names)
        with path.open(encoding="utf-8-sig") as file:
            row = json.loads(file.readline())
        return list(row) if isinstance(row, dict) else []
    except (OSError, ValueError):  # `thinkless doctor` says what is wrong with the file
        return []


def _teachers(answers: Answers) -> tuple[Nested, Nested]:
    """Who answers at length, and who briefly: the same, unless a recording gives the long answers alone."""
    name = answers.long_answers
    if name.startswith(("http://", "https://")):
        address, _, model = name.partition(" ")
        if not model.strip():
            raise ConfigError(f'long answers {name!r}: no model is named; give both: "{address} MODEL"')
        endpoint = {"kind": "openai", "base_url": address, "model": model.strip()}
        return endpoint, endpoint
    if name == "gym":
        return {"kind": "gym"}, {"kind": "gym"}
    if name == SELF:
        return _itself(answers.model), _itself(answers.model)
    path = Path(name).expanduser()
    if name in PRESETS and name == answers.problems == "gsm8k":
        source = {"kind": "preset", "name": name, "split": "train"}
        return {"kind": "worked_solutions", "source": source}, {
            "kind": "recorded", "completion_field": "answer", "source": source,
        }  # fmt: skip
    if name in PRESETS:
        return {"kind": "recorded", "source": {"kind": "preset", "name": name}}, _itself(answers.model)
    if path.is_file():
        return {"kind": "recorded", "path": str(path.resolve())}, _itself(answers.model)
    raise ConfigError(
        f"long answers {name!r}: no such file; give {SELF}, gym, a recording (.jsonl), a data set with traces "
        '(openthoughts2, openr1_math, gsm8k), or an endpoint with its model: "http://localhost:8000/v1 MODEL"'
    )


def _itself(model: str) -> Nested:
    """The student as a teacher; raises ConfigError for a package, whose weights no teacher reads."""
    if model.startswith(PACKAGE):
        raise ConfigError(
            f"model {model!r} cannot be its own teacher: teachers read a folder or a Hub id; give an endpoint, gym, or "
            "gsm8k for both problems and long answers"
        )
    return {"kind": "transformers", "model": str(_model(model)["path"]), "instruction": INSTRUCTION}
