"""Next-token logits of a growing batch: with the model's cache, or, for a model that has none to rely on, without.

prompts -> `start` -> logits of token 0 -> (`keep` of unfinished rows) -> `advance` by a token per row -> logits ...

Shapes: B rows, V vocabulary, L columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from transformers import PreTrainedModel

from thinkless_core.sampling.cached_attention import one_token_attention, roomy_cache
from thinkless_core.student.forward import last_logits
from thinkless_core.student.limits import Limit, limits_of

MAX_TOKENS = 1 << 15
"""Most tokens of a forward pass without a cache; more rows are computed one share after the other."""


class Decoding(Protocol):
    """One batch of prompts and what has been sampled behind them."""

    def start(self, prompts: Sequence[tuple[int, ...]]) -> Tensor:
        """Logits (B, V) of the first token behind each prompt; equal prompts are computed once."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows alone."""
        ...

    def advance(self, next_B: Tensor) -> Tensor:
        """Append a token to every row; logits (B, V) of the one after it."""
        ...


def decoding_of(model: PreTrainedModel, *, pad_id: int) -> Decoding:
    """With the cache, unless it was found not to agree with the model."""
    kind = UncachedDecoding if Limit.CACHE in limits_of(model) else CachedDecoding
    return kind(model, pad_id)


class CachedDecoding:
    """Prompts padded on the left; then one column per token."""

    def __init__(self, model: PreTrainedModel, pad_id: int) -> None:
        self._model = model
        self._pad_id = pad_id
        self._cache = roomy_cache(model)
        self._mask_BL = torch.empty(0)

    def start(self, prompts: Sequence[tuple[int, ...]]) -> Tensor:
        """See Decoding."""
        distinct = {prompt: row for row, prompt in enumerate(dict.fromkeys(prompts))}
        padded = left_padded(list(distinct), pad_id=self._pad_id, device=self._model.device)
        logits_BLV: Tensor = self._model(
            input_ids=padded.input_ids_BL,
            attention_mask=padded.mask_BL,
            position_ids=padded.position_ids_BL,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits
        rows = torch.tensor([distinct[p] for p in prompts], device=self._model.device)
        self._mask_BL = padded.mask_BL
        self.keep(rows)
        return logits_BLV[:, -1][rows]

    def keep(self, rows: Tensor) -> None:
        """See Decoding."""
        self._mask_BL = self._mask_BL[rows]
        self._cache.reorder_cache(rows)  # takes any rows; batch_select_indices is missing in recurrent layers

    def advance(self, next_B: Tensor) -> Tensor:
        """See Decoding."""
        self._mask_BL = torch.cat([self._mask_BL, self._mask_BL.new_ones(len(self._mask_BL), 1)], dim=1)
        with one_token_attention(self._model):
            logits: Tensor = self._model(
                input_ids=next_B[:, None],
                attention_mask=self._mask_BL,
                position_ids=self._mask_BL.sum(dim=1, keepdim=True) - 1,
                past_key_values=self._cache,
                use_cache=True,
            ).logits
        return logits[:, -1]


class UncachedDecoding:
    """Every row from its beginning at every token, padded on the right: needs nothing but a causal model."""

    def __init__(self, model: PreTrainedModel, pad_id: int) -> None:
        self._model = model
        self._pad_id = pad_id
        self._rows: list[list[int]] = []

    def start(self, prompts: Sequence[tuple[int, ...]]) -> Tensor:
        """See Decoding."""
        distinct = {prompt: row for row, prompt in enumerate(dict.fromkeys(prompts))}
        self._rows = [list(prompt) for prompt in distinct]
        logits_BV = self._next_logits()
        self._rows = [list(prompt) for prompt in prompts]
        return logits_BV[torch.tensor([distinct[p] for p in prompts], device=logits_BV.device)]

    def keep(self, rows: Tensor) -> None:
        """See Decoding."""
        self._rows = [self._rows[row] for row in rows.tolist()]

    def advance(self, next_B: Tensor) -> Tensor:
        """See Decoding."""
        for row, token in zip(self._rows, next_B.tolist(), strict=True):
            row.append(token)
        return self._next_logits()

    def _next_logits(self) -> Tensor:
        share = max(MAX_TOKENS // max(map(len, self._rows)), 1)
        parts = [self._share_logits(self._rows[i : i + share]) for i in range(0, len(self._rows), share)]
        return torch.cat(parts)

    def _share_logits(self, rows: Sequence[Sequence[int]]) -> Tensor:
        lengths = [len(row) for row in rows]
        longest, shortest = max(lengths), min(lengths)
        ids_BL = torch.tensor(
            [[*row] + [self._pad_id] * (longest - len(row)) for row in rows], device=self._model.device
        )
        logits_BLV = last_logits(self._model, ids_BL, keep=longest - shortest + 1)
        columns_B = torch.tensor(lengths, device=logits_BLV.device) - shortest
        return logits_BLV[torch.arange(len(rows), device=logits_BLV.device), columns_B]


class LeftPadded(NamedTuple):
    """Prompts that end in the same column, so that the last one predicts token 0 of every row."""

    input_ids_BL: Tensor
    mask_BL: Tensor
    """1 on tokens, 0 on padding."""
    position_ids_BL: Tensor


def left_padded(prompts: Sequence[Sequence[int]], *, pad_id: int, device: torch.device) -> LeftPadded:
    """Prompts of different lengths as tensors."""
    longest = max(map(len, prompts))
    mask_BL = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=device)
    return LeftPadded(
        torch.tensor([[pad_id] * (longest - len(p)) + list(p) for p in prompts], device=device),
        mask_BL,
        (mask_BL.cumsum(dim=1) - 1).clamp(min=0),
    )
