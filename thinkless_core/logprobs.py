"""Log-probabilities of the completion tokens of padded sequences.

Shapes: B sequences, L prompt + completion (padded on the right), T completion tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from thinkless_core.rendering import Sample


class PaddedSamples(NamedTuple):
    """Samples side by side: prompts start at column 0 of L, completions at column 0 of T."""

    input_ids_BL: Tensor
    prompt_lengths_B: Tensor
    completion_ids_BT: Tensor
    completion_mask_BT: Tensor
    """True on completion tokens, False on padding."""


class CompletionLogprobs(NamedTuple):
    """log pi of the chosen tokens, and the entropy of the distribution they were chosen from (no gradient)."""

    logprobs_BT: Tensor
    entropy_BT: Tensor


def pad_samples(samples: Sequence[Sample], *, pad_id: int, device: torch.device | str = "cpu") -> PaddedSamples:
    """Samples as tensors, padded on the right: causal attention never looks there, so no mask is needed."""
    longest = max(map(len, samples))
    longest_completion = max(len(s.completion_ids) for s in samples)
    return PaddedSamples(
        torch.tensor(
            [[*s.prompt_ids, *s.completion_ids] + [pad_id] * (longest - len(s)) for s in samples],
            device=device,
        ),
        torch.tensor([len(s.prompt_ids) for s in samples], device=device),
        torch.tensor(
            [[*s.completion_ids] + [pad_id] * (longest_completion - len(s.completion_ids)) for s in samples],
            device=device,
        ),
        torch.tensor(
            [[True] * len(s.completion_ids) + [False] * (longest_completion - len(s.completion_ids)) for s in samples],
            device=device,
        ),
    )


def completion_logprobs(
    model: PreTrainedModel, padded: PaddedSamples, *, temperature: float = 1.0
) -> CompletionLogprobs:
    """log softmax(logits / temperature) at every completion token; padding holds arbitrary finite numbers.

    The logits that predict completion token t stand at column prompt_length - 1 + t. Only columns from the
    shortest prompt on are computed.
    """
    first = int(padded.prompt_lengths_B.min()) - 1
    width = padded.input_ids_BL.shape[1]
    logits_BLV = model(input_ids=padded.input_ids_BL, logits_to_keep=width - first, use_cache=False).logits
    steps_T = torch.arange(padded.completion_ids_BT.shape[1], device=logits_BLV.device)
    columns_BT = (padded.prompt_lengths_B[:, None] - 1 - first + steps_T).clamp(max=width - first - 1)
    vocabulary = logits_BLV.shape[-1]
    logits_BTV = logits_BLV.gather(1, columns_BT[:, :, None].expand(-1, -1, vocabulary))
    logps_BTV = (logits_BTV.to(torch.float32) / temperature).log_softmax(dim=-1)
    with torch.no_grad():
        entropy_BT = -(logps_BTV.exp() * logps_BTV).sum(dim=-1)
    return CompletionLogprobs(logps_BTV.gather(2, padded.completion_ids_BT[:, :, None])[:, :, 0], entropy_BT)


def split_by_tokens(samples: Sequence[Sample], *, max_tokens: int) -> list[list[int]]:
    """Indices of `samples` in micro-batches of like length, each at most `max_tokens` wide and padded.

    A single sample longer than `max_tokens` gets a micro-batch of its own.
    """
    order = sorted(range(len(samples)), key=lambda i: len(samples[i]))
    batches: list[list[int]] = []
    for index in order:
        if batches and len(samples[index]) * (len(batches[-1]) + 1) <= max_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
