"""Log-probabilities of completion tokens: packed if the model's attention allows it, padded otherwise.

samples -> PackedSamples | PaddedSamples -> one forward pass
        -> log pi (and entropy) of every completion token, (B, T)

Shapes: B samples, L prompt + completion (padded on the right), T completion tokens (padded on the right),
M completion tokens of all samples, V vocabulary, X hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from thinkless_core.student.forward import last_hidden, last_logits
from thinkless_core.student.limits import Limit, limits_of
from thinkless_core.student.rendering import Sample
from thinkless_core.training.packed_attention import packed_attention, supports_packing
from thinkless_core.training.packing import PackedSamples, pack_samples
from thinkless_core.training.vocabulary_chunks import Head, TokenLogprobs, chosen_logprobs, head_of

MAX_LOGITS = 1 << 21
"""Most logits that stand in memory at once (8 MB in float32), each several times over; more are computed in slices of
the vocabulary, and once more for the gradient."""


class PaddedSamples(NamedTuple):
    """Samples side by side: prompts start at column 0 of L, completions at column 0 of T."""

    input_ids_BL: Tensor
    prompt_lengths_B: Tensor
    completion_ids_BT: Tensor
    completion_mask_BT: Tensor
    """True on completion tokens, False on padding."""


class CompletionLogprobs(NamedTuple):
    """The same with one row per sample; 0 on padding."""

    logprobs_BT: Tensor
    entropy_BT: Tensor


def collate(samples: Sequence[Sample], *, model: PreTrainedModel, pad_id: int) -> PackedSamples | PaddedSamples:
    """Samples laid out for `completion_logprobs`: packed or padded, as the model allows."""
    if supports_packing(model):
        return pack_samples(samples, device=model.device, dtype=model.dtype)
    return pad_samples(samples, pad_id=pad_id, device=model.device)


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
    model: PreTrainedModel, batch: PackedSamples | PaddedSamples, *, temperature: float = 1.0
) -> CompletionLogprobs:
    """log softmax(logits / temperature) at every completion token, in float32."""
    mask_BT = batch.completion_mask_BT
    if isinstance(batch, PackedSamples):
        with packed_attention(model):
            tokens = _packed_logprobs(model, batch, temperature=temperature)
    else:
        tokens = _padded_logprobs(model, batch, temperature=temperature)
    zeros_BT = torch.zeros(mask_BT.shape, device=mask_BT.device)
    return CompletionLogprobs(
        zeros_BT.masked_scatter(mask_BT, tokens.logprobs_M), zeros_BT.masked_scatter(mask_BT, tokens.entropy_M)
    )


def _packed_logprobs(model: PreTrainedModel, batch: PackedSamples, *, temperature: float) -> TokenLogprobs:
    inputs = {
        "input_ids": batch.input_ids_1N,
        "position_ids": batch.position_ids_1N,
        "packed_layout": batch.layout.with_masks_of(_activation_dtype(model)),
        "use_cache": False,
    }
    num_logits = len(batch.completion_ids_M) * model.config.get_text_config().vocab_size
    head = _head_in_slices(model, num_logits)
    if head is None:
        logits_MV = model(**inputs, logits_to_keep=batch.logit_rows_M).logits[0]
        return _token_logprobs(logits_MV, batch.completion_ids_M, temperature=temperature)
    hidden_MX = model.base_model(**inputs).last_hidden_state[0].index_select(0, batch.logit_rows_M)
    return chosen_logprobs(hidden_MX, head, batch.completion_ids_M, temperature=temperature)


def _head_in_slices(model: PreTrainedModel, num_logits: int) -> Head | None:
    """The head, if there are many logits and it is plain; None if all logits shall stand in memory at once."""
    if num_logits <= MAX_LOGITS or not has_plain_head(model):
        return None
    return head_of(model.get_output_embeddings())


def _activation_dtype(model: PreTrainedModel) -> torch.dtype:
    """The dtype that attention computes in."""
    device = model.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else model.dtype


def has_plain_head(model: PreTrainedModel) -> bool:
    """Whether logits are the output embedding of the last hidden state and nothing else."""
    if Limit.PLAIN_HEAD in limits_of(model):
        return False
    config = model.config.get_text_config()
    return not any(getattr(config, name, None) for name in ("final_logit_softcapping", "logit_scale", "logits_scaling"))


def _padded_logprobs(model: PreTrainedModel, batch: PaddedSamples, *, temperature: float) -> TokenLogprobs:
    """What predicts completion token t stands at column prompt_length - 1 + t; logits are computed from the shortest
    prompt on at most.
    """
    first = int(batch.prompt_lengths_B.min()) - 1
    num_rows, width = batch.input_ids_BL.shape
    mask_BT = batch.completion_mask_BT
    steps_T = torch.arange(mask_BT.shape[1], device=mask_BT.device)
    columns_BT = (batch.prompt_lengths_B[:, None] - 1 - first + steps_T).clamp(max=width - first - 1)
    head = _head_in_slices(model, num_rows * (width - first) * model.config.get_text_config().vocab_size)
    if head is not None:
        hidden_BLX = last_hidden(model, batch.input_ids_BL, keep=width - first)
        hidden_BTX = hidden_BLX.gather(1, columns_BT[:, :, None].expand(-1, -1, hidden_BLX.shape[-1]))
        return chosen_logprobs(hidden_BTX[mask_BT], head, batch.completion_ids_BT[mask_BT], temperature=temperature)
    logits_BLV = last_logits(model, batch.input_ids_BL, keep=width - first)
    logits_BTV = logits_BLV.gather(1, columns_BT[:, :, None].expand(-1, -1, logits_BLV.shape[-1]))
    return _token_logprobs(logits_BTV[mask_BT], batch.completion_ids_BT[mask_BT], temperature=temperature)


def _token_logprobs(logits_MV: Tensor, ids_M: Tensor, *, temperature: float) -> TokenLogprobs:
    logps_MV = (logits_MV.to(torch.float32) / temperature).log_softmax(dim=-1)
    with torch.no_grad():
        entropy_M = -(logps_MV.exp() * logps_MV).sum(dim=-1)
    return TokenLogprobs(logps_MV.gather(1, ids_M[:, None])[:, 0], entropy_M)
