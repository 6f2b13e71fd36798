"""Sampling in process, with any transformers causal language model.

requests -> prefill of each distinct prompt once -> one token per step for all unfinished rows -> completions
(thinkless_core/sampling/decoding.py: with the model's cache, or without one).
A row's draws come from its own named stream by inverse CDF, the draw for token t at place t of the stream. So batch
size, order and company never change what is sampled, and forcing token 0 leaves the other draws as they were: a
forced completion equals the free one that chose the same mode. Finished rows leave the batch.

Shapes: B rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from schemas.finish_reason import FinishReason
from thinkless_core.sampling.decoding import decoding_of
from thinkless_core.sampling.sampler import SampledCompletion, SampleRequest
from thinkless_core.seeding import random_stream
from thinkless_core.training.micro_batches import sampling_memory_explained

COMPACT_BELOW = 0.8
"""Finished rows leave the batch once fewer than this share of its rows is unfinished."""
FEW = (64, 1024)
"""Of so many likeliest tokens the nucleus of top-p is sorted out first, before all of the vocabulary is."""


@dataclass
class TransformersSampler:
    """Samples from `model` as it is at the moment of the call (`thinkless_core.rl.rollouts.Sampler`)."""

    model: PreTrainedModel
    pad_id: int
    eos_id: int
    batch_size: int = 256
    """Most rows side by side."""

    def sample(
        self,
        requests: Sequence[SampleRequest],
        *,
        max_new_tokens: int,
        temperature: float,
        top_p: float = 1.0,
    ) -> list[SampledCompletion]:
        """One completion per request, in order; `temperature` > 0, `top_p` in (0, 1]."""
        # Rows of like length side by side need little padding.
        order = sorted(range(len(requests)), key=lambda i: len(requests[i].prompt_ids))
        completions: dict[int, SampledCompletion] = {}
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.inference_mode():
                for start in range(0, len(order), self.batch_size):
                    rows = order[start : start + self.batch_size]
                    batch = [requests[i] for i in rows]
                    with sampling_memory_explained(len(batch), max_new_tokens=max_new_tokens):
                        sampled = self._sample_batch(
                            batch, max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p
                        )
                    completions.update(zip(rows, sampled, strict=True))
        finally:
            self.model.train(was_training)
        return [completions[i] for i in range(len(requests))]

    def _sample_batch(
        self, requests: Sequence[SampleRequest], *, max_new_tokens: int, temperature: float, top_p: float
    ) -> list[SampledCompletion]:
        device = self.model.device
        draws_BT = torch.stack(
            [torch.from_numpy(random_stream(*r.stream).random(max_new_tokens)) for r in requests]
        ).to(device)
        forced_B = torch.tensor([-1 if r.forced_id is None else r.forced_id for r in requests], device=device)
        decoding = decoding_of(self.model, pad_id=self.pad_id)
        logits_BV = decoding.start([r.prompt_ids for r in requests])
        tokens: list[list[int]] = [[] for _ in requests]
        alive = torch.arange(len(requests), device=device)
        done_B = torch.zeros(len(requests), dtype=torch.bool, device=device)
        for t in range(max_new_tokens):
            next_B = _draw(logits_BV, draws_BT[alive, t], temperature=temperature, top_p=top_p)
            if t == 0:
                next_B = torch.where(forced_B >= 0, forced_B, next_B)
            for row, token, done in zip(alive.tolist(), next_B.tolist(), done_B[alive].tolist(), strict=True):
                if not done:
                    tokens[row].append(token)
            done_B[alive] |= next_B == self.eos_id
            unfinished_B = ~done_B[alive]
            num_unfinished = int(unfinished_B.sum())
            if num_unfinished == 0 or t + 1 == max_new_tokens:
                break
            if num_unfinished < COMPACT_BELOW * len(alive):
                keep = unfinished_B.nonzero()[:, 0]
                alive, next_B = alive[keep], next_B[keep]
                decoding.keep(keep)
            logits_BV = decoding.advance(next_B)
        return [
            SampledCompletion(tuple(row), FinishReason.STOP if row[-1] == self.eos_id else FinishReason.LENGTH)
            for row in tokens
        ]


def _draw(logits_BV: Tensor, draws_B: Tensor, *, temperature: float, top_p: float) -> Tensor:
    """Token ids (B,) by inverse CDF: the first token whose cumulative probability exceeds the draw in [0, 1)."""
    probs_BV = (logits_BV.to(torch.float32) / temperature).softmax(dim=-1)
    if top_p == 1:
        return _inverse_cdf(probs_BV.to(torch.float64), draws_B)
    next_B = torch.empty_like(draws_B, dtype=torch.long)
    rows = torch.arange(len(probs_BV), device=probs_BV.device)
    vocabulary = probs_BV.shape[1]
    for size in (*(few for few in FEW if few < vocabulary), vocabulary):
        ids_BK, likely_BK = _likeliest(probs_BV[rows], size)
        kept_BK = likely_BK.masked_fill(likely_BK.cumsum(dim=-1) - likely_BK >= top_p, 0.0)
        # Where nothing that was left out is as likely as what is kept, the rest of the vocabulary changes nothing.
        enough_B = (kept_BK.masked_fill(kept_BK == 0, 1.0).amin(dim=-1) > likely_BK[:, -1]) | (size == vocabulary)
        chosen_B = ids_BK.gather(1, _inverse_cdf(kept_BK, draws_B[rows])[:, None])[:, 0]
        next_B[rows[enough_B]] = chosen_B[enough_B]
        rows = rows[~enough_B]
        if not len(rows):
            break
    return next_B


def _likeliest(probs_BV: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Ids of the `size` likeliest tokens, of equal ones the lower id first, and their probabilities in float64."""
    if size < probs_BV.shape[1]:
        some_BK = probs_BV.topk(size, dim=-1, sorted=False).indices.sort(dim=-1).values
        likely_BK, order_BK = probs_BV.gather(1, some_BK).sort(dim=-1, descending=True, stable=True)
        return some_BK.gather(1, order_BK), likely_BK.to(torch.float64)
    likely_BV, ids_BV = probs_BV.sort(dim=-1, descending=True, stable=True)
    return ids_BV, likely_BV.to(torch.float64)


def _inverse_cdf(probs_BK: Tensor, draws_B: Tensor) -> Tensor:
    """Places (B,) of the draws among probabilities, which need not add up to 1."""
    cdf_BK = probs_BK.cumsum(dim=-1)
    thresholds_B1 = (draws_B * cdf_BK[:, -1])[:, None]
    return torch.searchsorted(cdf_BK, thresholds_B1, right=True).clamp(max=cdf_BK.shape[1] - 1)[:, 0]
