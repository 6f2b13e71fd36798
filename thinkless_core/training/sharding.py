"""A model whose layers are spread over processes (FSDP2): each holds its share of their weights and optimiser state.

decoder layers -> sharded parameters (DTensor), gathered one layer at a time, gradients summed and spread again
embeddings, last norm and head stay whole in every process: control tokens are added and read there, and the head is
used outside the model's own forward pass

Gradients are sums over processes, never means, as everywhere in training. Every process of a sharded model must run the
same number of forward and backward passes, except inside `gathered`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import PreTrainedModel

from schemas.errors import TrainingError


def shard_layers(model: PreTrainedModel) -> None:
    """Spread the model's layers over all processes, in place; raises TrainingError for a model that names none.

    To be called on the device it will be trained on, before the optimiser is made.
    """
    names = set(model._no_split_modules or ())
    layers = [module for module in model.modules() if type(module).__name__ in names]
    if not layers:
        raise TrainingError(
            f"{type(model).__name__} does not say which of its modules are layers (_no_split_modules), so it cannot be "
            'sharded; set launch.accelerate_config = "ddp"'
        )
    mesh = init_device_mesh(model.device.type, (dist.get_world_size(),))
    for layer in layers:
        fully_shard(layer, mesh=mesh)
        layer.set_gradient_divide_factor(1.0)
        # Without it some backends would be given a premultiplied sum, which gloo lacks.
        layer.set_force_sum_reduction_for_comms(enable=True)


def is_sharded(model: nn.Module) -> bool:
    """Whether some of the model's weights are spread over processes."""
    return any(isinstance(module, FSDPModule) for module in model.modules())


@contextmanager
def gathered(model: nn.Module) -> Iterator[None]:
    """Inside, every process has all weights and may compute without the others; nothing may be learned there."""
    layers = [module for module in model.modules() if isinstance(module, FSDPModule)]
    for layer in layers:
        layer.set_reshard_after_forward(reshard_after_forward=False)
        layer.unshard()
    try:
        yield
    finally:
        for layer in layers:
            layer.reshard()
            layer.set_reshard_after_forward(reshard_after_forward=True)


def whole(tensor: Tensor) -> Tensor:
    """The whole of a sharded tensor, on every process; other tensors as they are."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def laid_out_like(tensor: Tensor, parameter: Tensor) -> Tensor:
    """A whole tensor on the parameter's device; if the parameter is sharded, this process's share of it."""
    on_device = tensor.to(parameter.device)
    if isinstance(parameter, DTensor):
        return distribute_tensor(on_device, parameter.device_mesh, parameter.placements)
    return on_device


@torch.no_grad()
def make_whole(model: nn.Module, *, keeps: bool) -> None:
    """Put every parameter of a sharded model in one piece, on the CPU. All processes must call this.

    A process that does not keep them (`keeps`) gets their shapes alone. Afterwards the model can be saved and no longer
    computes. A model that is not sharded stays as it is.
    """
    for module in list(model.modules()):
        for name, parameter in list(module.named_parameters(recurse=False)):
            if isinstance(parameter, DTensor):
                values = parameter.full_tensor()
                kept = values.cpu() if keeps else torch.empty_like(values, device="meta")
                module.register_parameter(name, nn.Parameter(kept, requires_grad=parameter.requires_grad))
