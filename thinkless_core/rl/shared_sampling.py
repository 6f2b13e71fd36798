"""Sampling shared out over processes: each samples a share, and all get all completions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accelerate import Accelerator

from thinkless_core.sampling.sampler import SampledCompletion, Sampler, SampleRequest
from thinkless_core.training.processes import gather


@dataclass(frozen=True)
class SharedSampler:
    """A sampler that every process calls with the same requests.

    A request's random stream does not depend on the process, so neither does what is sampled.
    """

    sampler: Sampler
    """This process's own."""
    accelerator: Accelerator

    def sample(
        self, requests: Sequence[SampleRequest], *, max_new_tokens: int, temperature: float, top_p: float = 1.0
    ) -> list[SampledCompletion]:
        """One completion per request, in order. Neighbours stay together, for they may have one prompt."""
        first, behind = (
            len(requests) * process // self.accelerator.num_processes
            for process in (self.accelerator.process_index, self.accelerator.process_index + 1)
        )
        own = requests[first:behind]
        limits = {"temperature": temperature, "top_p": top_p}
        share = self.sampler.sample(own, max_new_tokens=max_new_tokens, **limits) if own else []
        return [completion for part in gather(share, accelerator=self.accelerator) for completion in part]
