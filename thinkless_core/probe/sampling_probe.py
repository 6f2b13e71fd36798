"""Probes of what sampling rests on: causality, and the cache on the sampler's own path.

Shapes: B rows, V vocabulary.
"""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from thinkless_core.probe.examples import Plain, in_words, logprobs_of
from thinkless_core.sampling.decoding import CachedDecoding, Decoding

CROSS_ATTENTION = ("encoder_attn", "crossattention")
"""What transformers calls a decoder's attention to its encoder."""


def half_of(model: PreTrainedModel) -> str | None:
    """Name of an attention to another model's states, which this one has to do without; None if it has none.

    A decoder such as BART's runs without its encoder, and has never learned to write without it.
    """
    return next((name for name, _ in model.named_modules() if name.rpartition(".")[2] in CROSS_ATTENTION), None)


@torch.no_grad()
def looks_ahead(model: PreTrainedModel, plain: Plain) -> str | None:
    """In words, how a later token changes what the model predicts behind an earlier one; None if it does not."""
    for sample, before_LV in zip(plain.samples, plain.logprobs_LV, strict=True):
        ids = [*sample.prompt_ids, *sample.completion_ids]
        for place in (len(ids) - 1, len(ids) // 2):
            # A token of the same text in place of this one.
            changed = [*ids[:place], next(i for i in ids if i != ids[place]), *ids[place + 1 :]]
            gap = plain.differ(logprobs_of(model, changed)[:place], before_LV[:place])
            if gap is not None:
                return f"another token at place {place + 1} of {len(ids)} moves predictions before it by {gap:.2g} nats"
    return None


def cache_fault(model: PreTrainedModel, plain: Plain, *, pad_id: int) -> str | None:
    """In words, how sampling with the cache goes wrong; None if it agrees with the full forward pass."""
    try:
        gap = largest_decoding_gap(CachedDecoding(model, pad_id), plain)
    except Exception as error:  # noqa: BLE001 - whatever a model's code raises, it cannot be sampled from in this way
        return in_words(error)
    return None if gap is None else f"with its cache it is {gap:.2g} nats from a full forward pass"


@torch.no_grad()
def largest_decoding_gap(decoding: Decoding, plain: Plain) -> float | None:
    """Drive a batch as the sampler does, with the samples' own tokens: prompts of two lengths, one of them shared, rows
    that leave the batch when they are finished. Returns the largest difference, if it is more than rounding."""
    alive = list(range(len(plain.samples)))
    logits_BV = decoding.start([sample.prompt_ids for sample in plain.samples])
    gaps = []
    for t in range(max(len(sample.completion_ids) for sample in plain.samples)):
        unfinished = [row for row, index in enumerate(alive) if t < len(plain.samples[index].completion_ids)]
        if t > 0:
            if len(unfinished) < len(alive):
                decoding.keep(torch.tensor(unfinished))
                alive = [alive[row] for row in unfinished]
            logits_BV = decoding.advance(torch.tensor([plain.samples[i].completion_ids[t - 1] for i in alive]))
        for row, index in enumerate(alive):
            expected_V = plain.logprobs_LV[index][len(plain.samples[index].prompt_ids) - 1 + t]
            gaps.append(plain.differ(logits_BV[row].float().log_softmax(dim=-1).cpu(), expected_V))
    return max((gap for gap in gaps if gap is not None), default=None)
