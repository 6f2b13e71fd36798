"""The folder that `prepare` writes and `run` reads: all that a machine without the project's packages needs.

pairs.jsonl, problems.jsonl   rows of the tables, with task and level
settings.json                 sections base, sft, rl and evaluate of the profile; what the student looks like
model.gguf.0, model.gguf.1    the student's weights, in parts
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import BaseModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from schemas.records.pairs import Pair
from schemas.records.problems import Problem
from thinkless_core.student.control_tokens import ControlTokens

PAIRS, PROBLEMS, SETTINGS = "pairs.jsonl", "problems.jsonl", "settings.json"
WEIGHTS = "model.gguf."
"""Parts of the GGUF file: this and a number from 0 on."""
PART_BYTES = 50_000_000
"""Largest part, so that each can be copied on its own."""


class Prepared(NamedTuple):
    """What the folder holds."""

    folder: Path
    settings: dict[str, Any]
    pairs: list[Pair]
    problems: list[Problem]


def read_prepared(folder: Path) -> Prepared:
    """Read the folder; raises FileNotFoundError if it is none."""
    settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    pairs = [_record(Pair, row) for row in read_rows(folder / PAIRS)]
    problems = [_record(Problem, row) for row in read_rows(folder / PROBLEMS)]
    return Prepared(folder, settings, pairs, problems)


PROBE_TEXT = "What is 12 + 30? Write <think> or not: x^2, \\frac{1}{2}."
"""A prompt whose ids must be the same on both machines."""


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a JSONL file."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def task_of(problem: Problem) -> str:
    """The problem's task; its benchmark or its source's first word if it has none."""
    return getattr(problem, "task", None) or problem.benchmark or problem.source.partition(" ")[0]


class Student(NamedTuple):
    """What a student is recognised by on another machine."""

    weights: str
    """A hash of all weights that were in its files: equal if they are equal bit by bit."""
    control_rows: list[list[float]]
    """The embedding's rows of the control tokens. They are computed, so their last bits depend on the machine."""


def recognised(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Student:
    """Look at a float32 student of stage base on the CPU."""
    control = ControlTokens.of(tokenizer)
    ids = [control.short_id, control.think_id, control.think_end_id]
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    kept = torch.tensor([i for i in range(len(tokenizer)) if i not in ids])
    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        tensor = parameter.detach()[kept] if parameter is embedding or parameter is head else parameter.detach()
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().data)
    return Student(digest.hexdigest()[:16], embedding.detach()[ids].tolist())


def _record(record: type[BaseModel], row: Mapping[str, Any]) -> Any:
    return record.model_validate({name: row[name] for name in record.model_fields if name in row})
