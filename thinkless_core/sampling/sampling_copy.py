"""Sampling from a policy that trains in mixed precision: from a copy with its weights as they are now.

policy -> adapters folded -> linear matrices rounded to bfloat16 -> copy -> sampler

A token at a time, rounding every matrix anew would take longer than the token itself. The copy predicts what the policy
predicts under autocast, up to the order of sums.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedModel

from thinkless_core.sampling.sampler import SampledCompletion, SampleRequest
from thinkless_core.sampling.transformers_sampler import TransformersSampler
from thinkless_core.training.lora import fold_adapters, merged_weights
from thinkless_core.training.precision import autocast, frozen_for


@dataclass
class SamplingCopy:
    """Samples from `policy` as it is at the moment of the call (`thinkless_core.rl.rollouts.Sampler`)."""

    policy: PreTrainedModel
    pad_id: int
    eos_id: int
    batch_size: int = 256
    """Most rows side by side."""
    _twin: PreTrainedModel = field(init=False, repr=False)

    def __post_init__(self) -> None:
        twin = copy.deepcopy(self.policy)
        fold_adapters(twin)
        self._twin = frozen_for("mixed", twin)

    def sample(
        self,
        requests: Sequence[SampleRequest],
        *,
        max_new_tokens: int,
        temperature: float,
        top_p: float = 1.0,
    ) -> list[SampledCompletion]:
        """One completion per request, in order; `temperature` > 0, `top_p` in (0, 1]."""
        self._refresh()
        sampler = TransformersSampler(self._twin, self.pad_id, self.eos_id, batch_size=self.batch_size)
        with autocast(self._twin, "mixed"):
            return sampler.sample(requests, max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p)

    @torch.no_grad()
    def _refresh(self) -> None:
        """Take over the policy's weights."""
        self._twin.to(self.policy.device)
        places = dict(self._twin.named_parameters())
        for name, weight in merged_weights(self.policy):
            places[name].copy_(weight)
        embedding, head = self.policy.get_input_embeddings(), self.policy.get_output_embeddings()
        if head.weight is embedding.weight:
            self._twin.get_output_embeddings().weight.copy_(self._twin.get_input_embeddings().weight)
