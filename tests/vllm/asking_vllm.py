"""Requests to a sampler, and how far what it tells is from what the model says."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

from thinkless_core.sampling.sampler import SampledCompletion, SampleRequest
from thinkless_core.student.rendering import Sample, render_prompt
from thinkless_core.training.logprobs import collate, completion_logprobs

CLOSE = 1e-4
"""Kernels add up in another order than torch's in float32, which changes less than 2e-5 here; weights that were not
pushed are off by more than 0.1."""


def requests_of(
    tokenizer: PreTrainedTokenizerFast, num: int, *, forced: Sequence[int | None] = (None,)
) -> list[SampleRequest]:
    """Requests with prompts of several lengths."""
    return [
        SampleRequest(
            render_prompt(tokenizer, "+".join(["11"] * (2 + i % 3)) + "=?"), ("vllm", i), forced[i % len(forced)]
        )
        for i in range(num)
    ]


def largest_gap(
    model: Qwen2ForCausalLM,
    requests: Sequence[SampleRequest],
    completions: Sequence[SampledCompletion],
    *,
    temperature: float,
) -> float:
    """Largest difference between the engine's and the model's log-probabilities."""
    gaps = []
    for request, completion in zip(requests, completions, strict=True):
        if completion.logprobs:
            collated = collate([Sample(request.prompt_ids, completion.token_ids)], model=model, pad_id=0)
            with torch.no_grad():
                ours_T = completion_logprobs(model, collated, temperature=temperature).logprobs_BT[0]
            theirs_T = torch.tensor(completion.logprobs)
            gaps.append(float((ours_T[-len(theirs_T) :] - theirs_T).abs().max()))
    assert gaps
    return max(gaps)
