"""Sampling shared out over processes: the main one grades, decides and writes; the others help to sample.

main process: work(sampler) -> requests -> every process samples a share -> completions back in the main process
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import torch.distributed as dist
from accelerate import Accelerator

from thinkless_core.sampling.sampler import SampledCompletion, Sampler, SampleRequest
from thinkless_core.training.processes import gather

T = TypeVar("T")


def conducted(work: Callable[[Sampler], T], *, sampler: Sampler, accelerator: Accelerator) -> T:
    """Do `work` in the main process and give its result to all.

    Whatever it asks its sampler for is sampled by all processes, each a share; a request's random stream does not
    know where it is drawn. So verdicts, which hang on time limits, are the same everywhere.
    """
    if accelerator.num_processes == 1:
        return work(sampler)
    if accelerator.is_main_process:
        result = work(_DealtSampler(sampler, accelerator))
        _from_main(_Finished(result))
        return result
    while True:
        message = _from_main(None)
        if isinstance(message, _Finished):
            return cast(T, message.result)
        assert isinstance(message, _Order)
        _sample_share(sampler, message, accelerator=accelerator)


@dataclass(frozen=True)
class _Order:
    """The main process asks all to sample."""

    requests: tuple[SampleRequest, ...]
    max_new_tokens: int
    temperature: float
    top_p: float


@dataclass(frozen=True)
class _Finished:
    """The main process is done."""

    result: object


@dataclass(frozen=True)
class _DealtSampler:
    """The main process's sampler while the others help."""

    sampler: Sampler
    accelerator: Accelerator

    def sample(
        self, requests: Sequence[SampleRequest], *, max_new_tokens: int, temperature: float, top_p: float = 1.0
    ) -> list[SampledCompletion]:
        """One completion per request, in order."""
        order = _Order(tuple(requests), max_new_tokens, temperature, top_p)
        _from_main(order)
        shares = _sample_share(self.sampler, order, accelerator=self.accelerator)
        return [completion for share in shares for completion in share]


def _sample_share(sampler: Sampler, order: _Order, *, accelerator: Accelerator) -> list[list[SampledCompletion]]:
    """Sample this process's share; the shares of all. Neighbours stay together, for they may have one prompt."""
    first, behind = (
        len(order.requests) * process // accelerator.num_processes
        for process in (accelerator.process_index, accelerator.process_index + 1)
    )
    own = order.requests[first:behind]
    settings = {"temperature": order.temperature, "top_p": order.top_p}
    share = sampler.sample(own, max_new_tokens=order.max_new_tokens, **settings) if own else []
    return gather(share, accelerator=accelerator)


def _from_main(message: object) -> object:
    """The main process's message; what others pass is ignored."""
    box = [message]
    dist.broadcast_object_list(box, src=0)
    return box[0]
