"""Training checkpoints: weights and optimiser state at a step, written so that a crash never leaves half of one.

(model, optimiser, step) -> `step-000100.part/` -> rename to `step-000100/` -> older ones removed.
Nothing else needs saving: learning rate, data order and random streams are functions of (seed, step), and the
reference policy is the stage's input.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from schemas.errors import CheckpointError

_PREFIX = "step-"


def save_checkpoint(directory: Path, *, step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Write the checkpoint of `step` and remove older ones."""
    target = directory / f"{_PREFIX}{step:06d}"
    part = target.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    # Tied parameters are one tensor under one name: named_parameters() lists each once.
    save_file({n: p.detach().contiguous() for n, p in model.named_parameters()}, part / "model.safetensors")
    torch.save(optimizer.state_dict(), part / "optimizer.pt")
    (part / "step.json").write_text(json.dumps({"step": step}), encoding="utf-8")
    part.replace(target)
    for old in directory.glob(f"{_PREFIX}*"):
        if old != target:
            shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(directory: Path, *, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Restore the newest checkpoint in place and return its step; 0 where there is none.

    Raises CheckpointError where it does not fit the model.
    """
    found = sorted(p for p in directory.glob(f"{_PREFIX}*") if p.is_dir() and p.suffix != ".part")
    if not found:
        return 0
    newest = found[-1]
    weights = load_file(newest / "model.safetensors")
    parameters = dict(model.named_parameters())
    if weights.keys() != parameters.keys():
        different = sorted(weights.keys() ^ parameters.keys())
        raise CheckpointError(
            f"checkpoint {newest} holds other parameters than the model ({', '.join(different[:3])}); "
            "it belongs to another run, remove it to start afresh"
        )
    for name, parameter in parameters.items():
        if weights[name].shape != parameter.shape:
            raise CheckpointError(
                f"checkpoint {newest}: {name} has shape {tuple(weights[name].shape)}, the model's has "
                f"{tuple(parameter.shape)}; it belongs to another run, remove it to start afresh"
            )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])
    optimizer.load_state_dict(torch.load(newest / "optimizer.pt", weights_only=True))
    return int(json.loads((newest / "step.json").read_text(encoding="utf-8"))["step"])
