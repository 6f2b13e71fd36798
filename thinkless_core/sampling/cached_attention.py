"""A token at a time over the model's cache: keys that heads share are read where they lie, and the cache has room.

cache of a model -> layers with room for the next tokens, so that a token is written behind the others and none copied
query of one token, heads that share keys -> queries of one head -> scaled dot-product attention

Shapes: B rows, H heads, J heads of keys, G = H / J heads that share keys, Q queries, K keys, D head size.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from thinkless_core.training.packed_attention import NOT_PLAIN

ONE_TOKEN = "thinkless_one_token"
"""Name of the attention implementation."""
ROOM = 64
"""Tokens for which there is room when a layer has to move."""


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """transformers' growing layer, without a copy of all keys and values at every token."""

    keys: Tensor
    values: Tensor
    _layer_type = None
    _room: tuple[Tensor, Tensor] | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """Write the new states behind the others; returns all of them.

        Under autocast, rotary positions leave keys in float32, and attention would round all of them at every token.
        """
        new = (key_states.to(value_states.dtype), value_states)
        if not self.is_initialized:
            self.lazy_initialization(*new)
        before = self.get_seq_length()
        length = before + value_states.shape[-2]
        if self._room is None or self._room[0].shape[-2] < length:
            old, self._room = (self.keys, self.values), (_room_for(new[0], length), _room_for(new[1], length))
            if before:
                for room, states in zip(self._room, old, strict=True):
                    room[..., :before, :] = states
        for room, states in zip(self._room, new, strict=True):
            room[..., before:length, :] = states
        self.keys, self.values = self._room[0][..., :length, :], self._room[1][..., :length, :]
        return self.keys, self.values

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Go on with these rows."""
        super().reorder_cache(beam_idx)
        self._room = None


def _room_for(states: Tensor, length: int) -> Tensor:
    """Memory for so many tokens and those to come."""
    return states.new_empty((*states.shape[:-2], length + ROOM, states.shape[-1]))


def roomy_cache(model: PreTrainedModel) -> DynamicCache:
    """An empty cache for the model; layers that are not plainly growing stay what they are."""
    cache = DynamicCache(config=model.config)
    cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


@contextmanager
def one_token_attention(model: PreTrainedModel) -> Iterator[None]:
    """Inside, a model whose attention can be replaced reads its cache without repeating shared keys."""
    config = model.config.get_text_config()
    before = config._attn_implementation
    if before != "sdpa" or not model._supports_attention_backend:
        yield
        return
    config._attn_implementation = ONE_TOKEN
    try:
        yield
    finally:
        config._attn_implementation = before


def _attend(
    module: nn.Module,
    query_BHQD: Tensor,
    key_BJKD: Tensor,
    value_BJKD: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention of one token per row to the whole cache; returns (B, 1, H, D) and no weights.

    Heads with keys of their own, several tokens, a mask per head and biases are left to transformers' function.
    """
    rows, heads, queries, size = query_BHQD.shape
    own_keys = heads == key_BJKD.shape[1]
    mask_per_head = attention_mask is not None and attention_mask.shape[1] != 1
    if own_keys or queries != 1 or mask_per_head or any(others.get(name) is not None for name in NOT_PLAIN):
        output: tuple[Tensor, None] = sdpa_attention_forward(
            module, query_BHQD, key_BJKD, value_BJKD, attention_mask, scaling=scaling, **others
        )
        return output
    query_BJGD = query_BHQD.view(rows, key_BJKD.shape[1], -1, size)
    mask = None if attention_mask is None else attention_mask.expand(-1, -1, query_BJGD.shape[2], -1)
    output_BJGD = scaled_dot_product_attention(query_BJGD, key_BJKD, value_BJKD, attn_mask=mask, scale=scaling)
    return output_BJGD.reshape(rows, 1, heads, -1), None


AttentionInterface.register(ONE_TOKEN, _attend)
AttentionMaskInterface.register(ONE_TOKEN, sdpa_mask)
