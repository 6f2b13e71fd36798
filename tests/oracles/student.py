"""What a model says about one sequence, computed the plain way: no padding, no cache, no batch, one token at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase


@torch.no_grad()
def next_token_logprobs(model: PreTrainedModel, ids: Sequence[int], *, temperature: float = 1.0) -> Tensor:
    """log softmax(logits / temperature) of the token after `ids`, shape (V,), in float64."""
    logits_V = model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0, -1].to(torch.float64)
    return (logits_V / temperature).log_softmax(dim=0)


def think_probability(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, question: str) -> float:
    """P(<think>) / (P(<think>) + P(<short>)) right after the tiny student's prompt."""
    ids = tokenizer(f"<user>{question}<assistant>", add_special_tokens=False).input_ids
    logprobs_V = next_token_logprobs(model, ids)
    think, short = (float(logprobs_V[tokenizer.convert_tokens_to_ids(t)].exp()) for t in ("<think>", "<short>"))
    return think / (think + short)


def sequence_logprobs(
    model: PreTrainedModel, prompt_ids: Sequence[int], completion_ids: Sequence[int], *, temperature: float = 1.0
) -> list[float]:
    """log pi of every completion token given all before it."""
    ids, logprobs = list(prompt_ids), []
    for token in completion_ids:
        logprobs.append(float(next_token_logprobs(model, ids, temperature=temperature)[token]))
        ids.append(token)
    return logprobs
