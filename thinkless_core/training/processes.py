"""Several processes that train as one: micro-batches are shared out, gradients summed.

every process knows the whole step, its denominators too
    -> own share of the micro-batches -> own gradient -> sum over all -> the same clip and the same step everywhere
main process: judges, decides and writes; the others get its results (`run_on_main`)

So two processes take the steps that one takes, up to the order of float sums. In one process every function here
returns what it was given. No wrapper stands around the model; a model that is spread over processes is the subject of
thinkless_core/training/sharding.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, ParamSpec, TypeVar, cast

import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from thinkless_core.training.arrivals import HERE
from thinkless_core.training.sharding import is_sharded

P = ParamSpec("P")
T = TypeVar("T")

BUCKET_ELEMENTS = 1 << 24
"""Gradients travel in pieces of about this many numbers."""
LEAST_BUDGET = 64
"""Micro-batches are not made smaller than this many tokens to give every process one."""


class Turn(NamedTuple):
    """One forward pass of this process."""

    indices: list[int]
    weighted: bool
    """False: another process learns from these. Here they are computed with weight 0, because every process of a
    sharded model must run the same number of passes."""


def turns(
    split: Callable[[int], list[list[int]]], *, max_tokens: int, model: nn.Module, accelerator: Accelerator | None
) -> list[Turn]:
    """This process's forward passes over a step; over all processes, every index is weighted once.

    `split` gives the micro-batches of the whole step under a budget of tokens, which is lowered if there would be fewer
    of them than processes. Without an accelerator this process computes all.
    """
    batches = split(max_tokens)
    if accelerator is None or accelerator.num_processes == 1:
        return [Turn(indices, weighted=True) for indices in batches]
    while 0 < len(batches) < accelerator.num_processes and max_tokens > LEAST_BUDGET:
        max_tokens = max(max_tokens // 2, LEAST_BUDGET)
        batches = split(max_tokens)
    own = [Turn(indices, weighted=True) for indices in batches[accelerator.process_index :: accelerator.num_processes]]
    most = -(-len(batches) // accelerator.num_processes)
    if is_sharded(model) and len(own) < most:
        shortest = min(batches, key=len)
        own += [Turn(shortest, weighted=False)] * (most - len(own))
    return own


def sum_gradients(model: nn.Module, *, accelerator: Accelerator) -> None:
    """Give every process the sum of all processes' gradients; those of shards are summed by their own backward pass.

    A parameter that has no gradient in any process keeps none.
    """
    if accelerator.num_processes == 1:
        return
    with HERE.meeting("the sum of the gradients"):
        _sum_gradients(model, device=accelerator.device)


def _sum_gradients(model: nn.Module, *, device: torch.device) -> None:
    whole = [p for p in model.parameters() if p.requires_grad and not isinstance(p, DTensor)]
    holders = torch.tensor([p.grad is not None for p in whole], dtype=torch.int32, device=device)
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


def run_on_main(accelerator: Accelerator, work: Callable[P, T], *args: P.args, **keywords: P.kwargs) -> T:
    """`work(*args, **keywords)`, done by the main process alone; every process gets its result.

    For what may come out differently elsewhere: verdicts, which depend on time limits, and files.
    """
    if accelerator.num_processes == 1:
        return work(*args, **keywords)
    box = [work(*args, **keywords)] if accelerator.is_main_process else [None]
    with HERE.meeting("what the main process decides"):
        dist.broadcast_object_list(box, src=0)
    return cast(T, box[0])


def gather(own: T, *, accelerator: Accelerator | None) -> list[T]:
    """The values of all processes, in their order; anything that can be pickled."""
    if accelerator is None or accelerator.num_processes == 1:
        return [own]
    found = [own] * accelerator.num_processes  # places, to be filled
    with HERE.meeting("the results of all processes"):
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
    """The part of a random stream's name that is this process's own; empty in the main process."""
    return () if accelerator.is_main_process else (accelerator.process_index,)


def wait_for_all(accelerator: Accelerator) -> None:
    """Return when every process has come this far."""
    if accelerator.num_processes > 1:
        with HERE.meeting("a step that all begin together"):
            dist.barrier()


def leave_group() -> None:
    """The end of a process among several."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
