"""Takes a policy that another framework trained from an exported warm-up, in place of a training.

FOLDER/trained (weights, log_history.json) + FOLDER/export.json -> the same warm-up as the run's? -> model, metrics
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from schemas.artifact import Artifact
from schemas.errors import ConfigError
from schemas.records.metrics import Metric
from tasks.running.student_folder import MODEL
from thinkless_core.student.model_files import is_trusted, load_student, load_student_tokenizer, save_folder

TRAINED = "trained"
"""Folder of an export in which the framework leaves the policy."""
HISTORY = "log_history.json"


class ExportList(NamedTuple):
    """What `export.json` says of an export."""

    run_id: str
    warm_up_digest: str
    config: dict[str, Any]
    """The configuration of the run."""


def read_export(folder: Path) -> ExportList:
    """The list of a folder of `thinkless export --for`; raises ConfigError if it has none."""
    file = folder / "export.json"
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
        digests = {entry["stage"]: entry["digest"] for entry in about["artifacts"]}
        return ExportList(about["run_id"], digests["sft"], about["config"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{file} is no list of an export for another trainer ({type(error).__name__}: {error}); expected the "
            "folder that `thinkless export DIR --for trl` wrote"
        ) from error


def take_policy(policy: Path, *, warm_up: Artifact, workspace: Path) -> list[Metric]:
    """Write the policy as a stage's `model/`, with the tokenizer of the warm-up; returns the metrics of its training.

    Raises ConfigError if it was not trained from this warm-up, or is another model.
    """
    export = read_export(policy.parent)
    if export.warm_up_digest != warm_up.digest:
        raise ConfigError(
            f"{policy.parent} was exported from another warm-up ({export.warm_up_digest[:8]}) than this "
            f"run's ({warm_up.digest[:8]}); import it into the store of run {export.run_id}"
        )
    before = Path(warm_up.path) / MODEL
    if not any(policy.glob("*.safetensors")):
        raise ConfigError(f"{policy} holds no model; expected what the training left there: run it first")
    model, started = load_student(policy), load_student(before)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    expected = {name: tuple(tensor.shape) for name, tensor in started.state_dict().items()}
    if shapes != expected:
        name = next(name for name in (*expected, *shapes) if shapes.get(name) != expected.get(name))
        raise ConfigError(
            f"{policy} is another model than the warm-up: {name} is {shapes.get(name)}, expected {expected.get(name)}"
        )
    save_folder(model, load_student_tokenizer(before), workspace / MODEL, trust_remote_code=is_trusted(before))
    return list(_metrics(policy / HISTORY))


def _metrics(history: Path) -> Iterator[Metric]:
    """Every number of every logged step; none if the framework left no log."""
    if not history.is_file():
        return
    for entry in json.loads(history.read_text(encoding="utf-8")):
        for name, value in entry.items():
            if name not in ("step", "epoch") and isinstance(value, int | float):
                yield Metric(stage="rl", step=int(entry["step"]), name=name, value=float(value))
