"""Several processes that train as one: micro-batches are dealt out, gradients summed.

every process knows the whole step, its denominators too
    -> own share of the micro-batches -> own gradient -> sum over all -> the same clip and the same step everywhere
main process: grades, decides and writes; whoever is asked to sample helps, and all are told what came out

So two processes take the steps that one takes, up to the order of float sums. In one process every function here
hands back what it was given. No wrapper stands around the model; shards of it are the matter of
thinkless_core/training/sharding.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from thinkless_core.training.sharding import is_sharded

T = TypeVar("T")

BUCKET_ELEMENTS = 1 << 24
"""Gradients travel in pieces of about this many numbers."""
LEAST_BUDGET = 64
"""Micro-batches are not made smaller than this many tokens to give every process one."""


class Turn(NamedTuple):
    """One forward pass of this process."""

    indices: list[int]
    counts: bool
    """False: another process counts these; here they are computed with weight 0, because a sharded model works only
    in step."""


def turns(
    split: Callable[[int], list[list[int]]], *, max_tokens: int, model: nn.Module, accelerator: Accelerator | None
) -> list[Turn]:
    """This process's forward passes over a step; over all processes, every index counts once.

    `split` gives the micro-batches of the whole step under a budget of tokens, which is lowered where there would be
    fewer of them than processes. Without an accelerator this process computes all.
    """
    batches = split(max_tokens)
    if accelerator is None or accelerator.num_processes == 1:
        return [Turn(indices, counts=True) for indices in batches]
    while 0 < len(batches) < accelerator.num_processes and max_tokens > LEAST_BUDGET:
        max_tokens = max(max_tokens // 2, LEAST_BUDGET)
        batches = split(max_tokens)
    own = [Turn(indices, counts=True) for indices in batches[accelerator.process_index :: accelerator.num_processes]]
    most = -(-len(batches) // accelerator.num_processes)
    if is_sharded(model) and len(own) < most:
        shortest = min(batches, key=len)
        own += [Turn(shortest, counts=False)] * (most - len(own))
    return own


def sum_gradients(model: nn.Module, *, accelerator: Accelerator) -> None:
    """Give every process the sum of all processes' gradients; those of shards are summed by their own backward pass.

    A parameter that has no gradient in any process keeps none.
    """
    if accelerator.num_processes == 1:
        return
    whole = [p for p in model.parameters() if p.requires_grad and not isinstance(p, DTensor)]
    holders = torch.tensor([p.grad is not None for p in whole], dtype=torch.int32, device=accelerator.device)
    dist.all_reduce(holders)
    gradients = []
    for parameter, num_holders in zip(whole, holders.tolist(), strict=True):
        if num_holders:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
    for bucket in _buckets(gradients):
        flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
        dist.all_reduce(flat)
        for gradient, part in zip(bucket, torch.split(flat, [g.numel() for g in bucket]), strict=True):
            gradient.copy_(part.view_as(gradient))


def _buckets(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours of one dtype, up to a size."""
    bucket: list[Tensor] = []
    size = 0
    for gradient in gradients:
        if bucket and (gradient.dtype != bucket[0].dtype or size + gradient.numel() > BUCKET_ELEMENTS):
            yield bucket
            bucket, size = [], 0
        bucket.append(gradient)
        size += gradient.numel()
    if bucket:
        yield bucket


def gather(own: T, *, accelerator: Accelerator | None) -> list[T]:
    """What each process has, in their order; anything that can be pickled."""
    if accelerator is None or accelerator.num_processes == 1:
        return [own]
    found = [own] * accelerator.num_processes  # places, to be filled
    dist.all_gather_object(found, own)
    return found


def summed(own: Mapping[str, float], *, accelerator: Accelerator | None) -> dict[str, float]:
    """Numbers added up by name over all processes."""
    total: dict[str, float] = {}
    for part in gather(dict(own), accelerator=accelerator):
        for name, value in part.items():
            total[name] = total[name] + value if name in total else value
    return total


def process_stream(accelerator: Accelerator) -> tuple[int, ...]:
    """What a random stream of this process alone has in its name; nothing in the main process."""
    return () if accelerator.is_main_process else (accelerator.process_index,)


def wait_for_all(accelerator: Accelerator) -> None:
    """Return when every process has come this far."""
    if accelerator.num_processes > 1:
        dist.barrier()


def leave_group() -> None:
    """The end of a process among several."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
