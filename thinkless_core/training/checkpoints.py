"""Training checkpoints: trained weights and optimiser state at a step. A crash never leaves half of one.

(model, optimiser, step) -> `step-000100.part/` -> rename to `step-000100/` -> older ones removed.
Parameters that are not trained are the stage's input and are not written. Nothing else is saved: learning rate, data
order and random streams are functions of (seed, step), and the reference policy is the stage's input. Tensors are
written whole and by name, so a checkpoint does not depend on how many processes made it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from schemas.errors import CheckpointError
from thinkless_core.training.sharding import laid_out_like, whole

_PREFIX = "step-"
_WEIGHTS, _OPTIMIZER = "model.safetensors", "optimizer.safetensors"


def save_checkpoint(
    directory: Path, *, step: int, model: nn.Module, optimizer: torch.optim.Optimizer, writes: bool = True
) -> None:
    """Write the checkpoint of `step` and remove older ones.

    Every process of a sharded model must call this; only one that `writes` touches the disk.
    """
    weights = _whole_tensors(_trained(model), writes=writes)
    state = _whole_tensors(_optimizer_tensors(model, optimizer), writes=writes)
    if not writes:
        return
    target = directory / f"{_PREFIX}{step:06d}"
    part = target.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    save_file(weights, part / _WEIGHTS)
    save_file(state, part / _OPTIMIZER)
    (part / "step.json").write_text(json.dumps({"step": step}), encoding="utf-8")
    part.replace(target)
    for old in directory.glob(f"{_PREFIX}*"):
        if old != target:
            shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(directory: Path, *, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Restore the newest checkpoint in place and return its step; 0 if there is none.

    Raises CheckpointError if it does not fit the model.
    """
    found = sorted(p for p in directory.glob(f"{_PREFIX}*") if p.is_dir() and p.suffix != ".part")
    if not found:
        return 0
    newest = found[-1]
    weights = load_file(newest / _WEIGHTS)
    parameters = _trained(model)
    if weights.keys() != parameters.keys():
        different = sorted(weights.keys() ^ parameters.keys())
        raise CheckpointError(
            f"checkpoint {newest} holds other parameters than the model trains ({', '.join(different[:3])}); "
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
            parameter.copy_(laid_out_like(weights[name], parameter))
    for name, tensor in load_file(newest / _OPTIMIZER).items():
        entry, _, of = name.partition("/")
        parameter = parameters[of]
        is_scalar = tensor.ndim == 0 and entry == "step"
        optimizer.state[parameter][entry] = (
            tensor.to(parameter.device) if is_scalar else laid_out_like(tensor, parameter)
        )
    return int(json.loads((newest / "step.json").read_text(encoding="utf-8"))["step"])


def _trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """Trained parameters by name; named_parameters() lists tied ones once."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def _optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """`entry/parameter` -> tensor, for all of the optimiser's state; its settings come from the configuration."""
    return {
        f"{entry}/{name}": tensor
        for name, parameter in _trained(model).items()
        for entry, tensor in optimizer.state.get(parameter, {}).items()
    }


def _whole_tensors(tensors: dict[str, Tensor] | dict[str, nn.Parameter], *, writes: bool) -> dict[str, Tensor]:
    """Every tensor in one piece on the CPU. A process that does not write gathers too, and gets nothing."""
    kept = {}
    for name, tensor in tensors.items():
        in_one_piece = whole(tensor.detach())
        if writes:
            kept[name] = in_one_piece.cpu().contiguous()
    return kept
