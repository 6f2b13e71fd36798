"""Attention over packed samples, as an attention implementation that any transformers model can be switched to.

row of N tokens -> queries and keys per bucket (gathered) -> scaled dot-product attention -> row of N tokens

Models take it through transformers' attention interface, so none of their code is touched.

Shapes: N tokens of the row, H heads, D head size, S segments of a bucket, Q queries, K keys, C = K - Q context.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.attention.bias import causal_lower_right
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel

from schemas.errors import TrainingError
from thinkless_core.student.limits import Limit, limits_of
from thinkless_core.training.packing import PackedLayout

PACKED = "thinkless_packed"
"""Name of the implementation."""
NOT_PLAIN = ("softcap", "s_aux", "sliding_window", "position_bias")
"""What a model may ask of its attention and does not get here: capped scores, sinks, a window, biases."""


def supports_packing(model: PreTrainedModel) -> bool:
    """Whether the model's attention can be replaced, is plain causal attention in every layer, and was not found to
    give other log-probabilities when packed.

    On a GPU samples are padded: the kernels of a dozen buckets in each layer take longer to launch than padding takes
    to compute (docs/gpu.md).
    """
    if Limit.PACKING in limits_of(model) or model.device.type != "cpu":
        return False
    kinds = getattr(model.config.get_text_config(), "layer_types", None) or ["full_attention"]
    return (
        model._supports_attention_backend and not (set(kinds) - {"full_attention"}) and packing_obstacle(model) is None
    )


def packing_obstacle(model: PreTrainedModel) -> str | None:
    """In words, what the configuration asks of attention that packed attention does not know; None if it is plain.

    A few tokens do not show what a window does: the configuration does.
    """
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None) or []
    window = getattr(config, "sliding_window", None)
    if window:
        layers = f"{sum('sliding' in kind for kind in kinds)} of its {len(kinds)} layers" if kinds else "its layers"
        return f"{layers} see a window of {window} tokens"
    if getattr(config, "attn_logit_softcapping", None):
        return "its attention scores are capped"
    return None


@contextmanager
def packed_attention(model: PreTrainedModel) -> Iterator[None]:
    """Inside, the model's attention takes a `packed_layout` and knows no mask."""
    config = model.config.get_text_config()
    before = config._attn_implementation
    config._attn_implementation = PACKED
    try:
        yield
    finally:
        config._attn_implementation = before


def recompute_context(
    model: PreTrainedModel,
) -> Callable[[], tuple[AbstractContextManager[None], AbstractContextManager[None]]]:
    """The contexts in which gradient checkpointing computes a layer (`context_fn` of torch.utils.checkpoint).

    A layer is computed again long after `packed_attention` was left: with the attention that it was computed with at
    first, or its gradient would be that of another one.
    """

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        packed = model.config.get_text_config()._attn_implementation == PACKED
        return nullcontext(), packed_attention(model) if packed else nullcontext()

    return contexts


def _attend(
    module: nn.Module,
    query_1HND: Tensor,
    key_1HND: Tensor,
    value_1HND: Tensor,
    attention_mask: Tensor | None,
    *,
    packed_layout: PackedLayout,
    scaling: float | None = None,
    dropout: float = 0.0,
    **others: object,
) -> tuple[Tensor, None]:
    """Attention of every token to its own segment and context; returns (1, N, H, D) and no weights.

    Under autocast, rotary positions leave queries and keys in float32; the values' type is what was asked for.
    Raises TrainingError for a model whose attention wants more than this, such as a mask of its own.
    """
    wanted = [name for name in NOT_PLAIN if others.get(name) is not None]
    if attention_mask is not None or wanted:
        raise TrainingError(
            f"{type(module).__name__} wants {', '.join(wanted) or 'a mask of its own'}, which packed attention "
            "does not know; its samples have to be padded"
        )
    query_1HND, key_1HND = query_1HND.to(value_1HND.dtype), key_1HND.to(value_1HND.dtype)
    queries = _rows(query_1HND, packed_layout.query_rows)
    keys, values = (_rows(states, packed_layout.key_rows) for states in (key_1HND, value_1HND))
    num_heads, groups = query_1HND.shape[1], query_1HND.shape[1] // key_1HND.shape[1]
    # Kernels of a CPU read keys that heads share in place; those of a GPU that take a mask want them repeated.
    in_place = query_1HND.device.type == "cpu"
    outputs = []
    for bucket, query, key, value in zip(
        packed_layout.buckets,
        torch.split(queries, [bucket.num_segments * bucket.num_queries for bucket in packed_layout.buckets]),
        *(
            torch.split(states, [bucket.num_segments * bucket.num_keys for bucket in packed_layout.buckets])
            for states in (keys, values)
        ),
        strict=True,
    ):
        query_SHQD, key_SHKD, value_SHKD = (_segments(s, bucket.num_segments) for s in (query, key, value))
        if groups > 1 and not in_place:
            key_SHKD, value_SHKD = (s.repeat_interleave(groups, dim=1) for s in (key_SHKD, value_SHKD))
        is_square = bucket.num_queries == bucket.num_keys
        mask = bucket.mask_S1QK
        if mask is None and not is_square:
            mask = causal_lower_right(bucket.num_queries, bucket.num_keys)
        output_SHQD = scaled_dot_product_attention(
            query_SHQD,
            key_SHKD,
            value_SHKD,
            attn_mask=mask,
            is_causal=mask is None,
            dropout_p=dropout,
            scale=scaling,
            enable_gqa=groups > 1 and in_place,
        )
        outputs.append(output_SHQD.transpose(1, 2).reshape(len(query), -1))
    output_NHD = torch.cat(outputs).index_select(0, packed_layout.output_places_N)
    return output_NHD.view(1, len(output_NHD), num_heads, -1), None


def _rows(states_1HND: Tensor, rows: Tensor) -> Tensor:
    """Chosen tokens' states, shape (len(rows), H, D)."""
    _, heads, _, size = states_1HND.shape
    flat_NX = states_1HND[0].transpose(0, 1).reshape(-1, heads * size)
    return flat_NX.index_select(0, rows).view(-1, heads, size)


def _segments(states_XHD: Tensor, num_segments: int) -> Tensor:
    """Tokens of a bucket as (S, H, tokens, D)."""
    return states_XHD.view(num_segments, -1, *states_XHD.shape[1:]).transpose(1, 2)


AttentionInterface.register(PACKED, _attend)
