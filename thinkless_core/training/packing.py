"""Samples side by side without padding: every distinct prompt once, and what all prompts begin with once.

samples -> one row of tokens: [beginning | prompt, prompt, ... | completion, completion, ...] with their positions
        -> segments (a prompt sees the beginning and itself, a completion both and itself) -> buckets of like size

The beginning is the system message that a chat template writes before each question.

Linear layers then compute each token once; only attention sees the buckets
(thinkless_core/training/packed_attention.py). The last token of a completion is never computed, since nothing is
predicted from it.

Shapes: B samples, N tokens of the row, M completion tokens, T completion tokens of one sample (padded),
S segments of one bucket, Q queries of a segment, C context tokens before them, K = C + Q keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from thinkless_core.student.rendering import Sample

BUCKET_SLACK, BUCKET_STEP = 1.25, 8
"""A bucket's longest segment is at most SLACK times its shortest plus STEP tokens."""
MIN_BEGINNING = 16
"""Tokens that all prompts must have in common at least, to be computed once."""
MAX_MASK_ELEMENTS = 1 << 24
"""A bucket whose mask would be larger holds segments of one size instead, which need none."""


class Segment(NamedTuple):
    """Queries that stand together in the row, and the context before them."""

    start: int
    length: int
    context: tuple[tuple[int, int], ...] = ()
    """(start, length) of what it sees before itself, in order."""

    @property
    def context_length(self) -> int:
        """Tokens before it."""
        return sum(length for _, length in self.context)


@dataclass(frozen=True)
class AttentionBucket:
    """Segments of like size, padded to one: contexts on the left, queries on the right."""

    num_segments: int
    num_queries: int
    num_keys: int
    mask_S1QK: Tensor | None
    """Added to the scores. None: query q sees the first C + q + 1 keys of every segment, none of which is padded."""


@dataclass(frozen=True)
class PackedLayout:
    """Indices: of attention's queries and keys in the row, and of the row's outputs in attention's."""

    query_rows: Tensor
    """Row index of every query of every bucket, buckets one after the other."""
    key_rows: Tensor
    output_places_N: Tensor
    """Place of each token among the queries of `query_rows`."""
    buckets: tuple[AttentionBucket, ...]

    def with_masks_of(self, dtype: torch.dtype) -> PackedLayout:
        """The same for activations of another type than it was made for."""
        if all(b.mask_S1QK is None or b.mask_S1QK.dtype == dtype for b in self.buckets):
            return self
        buckets = (b if b.mask_S1QK is None else replace(b, mask_S1QK=b.mask_S1QK.to(dtype)) for b in self.buckets)
        return replace(self, buckets=tuple(buckets))


class PackedSamples(NamedTuple):
    """Samples as one row of tokens."""

    input_ids_1N: Tensor
    position_ids_1N: Tensor
    logit_rows_M: Tensor
    """Row index that predicts each completion token, sample after sample."""
    completion_ids_M: Tensor
    completion_mask_BT: Tensor
    """True on completion tokens, False on padding."""
    layout: PackedLayout


def pack_samples(samples: Sequence[Sample], *, device: torch.device | str, dtype: torch.dtype) -> PackedSamples:
    """Samples as one row; those with the same prompt share it. `dtype` is that of the model's activations."""
    prompts = dict.fromkeys(sample.prompt_ids for sample in samples)
    shared = beginning_length(list(prompts))
    ids = list(samples[0].prompt_ids[:shared])
    beginning = ((0, shared),) if shared else ()
    segments = [Segment(0, shared)] if shared else []
    contexts: dict[tuple[int, ...], tuple[tuple[int, int], ...]] = {}
    for prompt_ids in prompts:
        own = (len(ids), len(prompt_ids) - shared)
        contexts[prompt_ids] = (*beginning, own)
        segments.append(Segment(*own, beginning))
        ids.extend(prompt_ids[shared:])
    logit_rows: list[int] = []
    for sample in samples:
        context = contexts[sample.prompt_ids]
        inputs = sample.completion_ids[:-1]
        logit_rows.extend((sum(context[-1]) - 1, *range(len(ids), len(ids) + len(inputs))))
        if inputs:
            segments.append(Segment(len(ids), len(inputs), context))
            ids.extend(inputs)
    positions = np.empty(len(ids), dtype=np.int64)
    for segment in segments:
        positions[segment.start : segment.start + segment.length] = np.arange(segment.length) + segment.context_length
    lengths_B = torch.tensor([len(s.completion_ids) for s in samples])
    mask_BT = torch.arange(int(lengths_B.max())) < lengths_B[:, None]
    return PackedSamples(
        input_ids_1N=torch.tensor([ids], device=device),
        position_ids_1N=torch.from_numpy(positions)[None].to(device),
        logit_rows_M=torch.tensor(logit_rows, device=device),
        completion_ids_M=torch.tensor([i for s in samples for i in s.completion_ids], device=device),
        completion_mask_BT=mask_BT.to(device),
        layout=packed_layout(segments, num_tokens=len(ids), device=device, dtype=dtype),
    )


def beginning_length(prompts: Sequence[tuple[int, ...]]) -> int:
    """Tokens that all prompts begin with; 0 if they are too few, or if there is one prompt only.

    Each prompt keeps a token of its own, from which its completions are predicted.
    """
    first, last = min(prompts), max(prompts)  # in the order of their tokens: what these two share, all do
    most = min(map(len, prompts)) - 1
    shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), most)
    return min(shared, most) if len(prompts) > 1 and min(shared, most) >= MIN_BEGINNING else 0


def packed_layout(
    segments: Sequence[Segment], *, num_tokens: int, device: torch.device | str, dtype: torch.dtype
) -> PackedLayout:
    """Buckets of segments and the index lists between them and the row."""
    queries, keys, buckets = [], [], []
    output_places = np.empty(num_tokens, dtype=np.int64)
    num_placed = 0
    for bucket in _buckets_of_like_size(segments):
        start_S1, length_S1, context_S1 = (
            np.array(column)[:, None]
            for column in zip(*((s.start, s.length, s.context_length) for s in bucket), strict=True)
        )
        num_queries, context = int(length_S1.max()), int(context_S1.max())
        own_Q, before_C = np.arange(num_queries), np.arange(context) - context
        is_query_SQ = own_Q < length_S1
        is_context_SC = before_C >= -context_S1
        # Padding points at token 0 of the row, whose values are finite; nothing reads what comes of it.
        query_rows_SQ = np.where(is_query_SQ, start_S1 + own_Q, 0)
        context_rows_SC = np.zeros((len(bucket), context), dtype=np.int64)
        context_rows_SC[is_context_SC] = [
            row for s in bucket for start, n in s.context for row in range(start, start + n)
        ]
        queries.append(query_rows_SQ.reshape(-1))
        keys.append(np.concatenate([context_rows_SC, query_rows_SQ], axis=1).reshape(-1))
        places_SQ = num_placed + np.arange(query_rows_SQ.size).reshape(query_rows_SQ.shape)
        output_places[query_rows_SQ[is_query_SQ]] = places_SQ[is_query_SQ]
        num_placed += query_rows_SQ.size
        mask = None
        padded = not (is_query_SQ.all() and is_context_SC.all())
        if padded or (context and num_queries * (context + num_queries) <= MAX_MASK_ELEMENTS):
            causal_QQ = own_Q[:, None] >= own_Q[None, :]
            seen_SQK = np.concatenate(
                [
                    np.broadcast_to(is_context_SC[:, None], (len(bucket), num_queries, context)),
                    np.broadcast_to(causal_QQ[None], (len(bucket), num_queries, num_queries)),
                ],
                axis=2,
            )
            mask = torch.where(torch.from_numpy(seen_SQK), 0.0, float("-inf"))[:, None].to(device, dtype)
        buckets.append(AttentionBucket(len(bucket), num_queries, context + num_queries, mask))
    return PackedLayout(
        query_rows=torch.from_numpy(np.concatenate(queries)).to(device),
        key_rows=torch.from_numpy(np.concatenate(keys)).to(device),
        output_places_N=torch.from_numpy(output_places).to(device),
        buckets=tuple(buckets),
    )


def _buckets_of_like_size(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Segments grouped so that little is padded, those without context apart."""
    bucket: list[Segment] = []
    shortest = longest = 0
    for segment in sorted(segments, key=lambda s: (s.context_length > 0, s.length, s.context_length)):
        context = segment.context_length
        shortest, longest = (min(shortest, context), max(longest, context)) if bucket else (context, context)
        if bucket and not _fits(segment, bucket, shortest_context=shortest, longest_context=longest):
            yield bucket
            bucket = []
            shortest = longest = context
        bucket.append(segment)
    if bucket:
        yield bucket


def _fits(segment: Segment, bucket: Sequence[Segment], *, shortest_context: int, longest_context: int) -> bool:
    """Whether a bucket can take one more segment, given the contexts it would then have."""
    first = bucket[0]
    if segment.length == first.length and shortest_context == longest_context:
        return True
    return (
        (segment.context_length > 0) == (first.context_length > 0)
        and segment.length <= BUCKET_SLACK * first.length + BUCKET_STEP
        and longest_context <= BUCKET_SLACK * shortest_context + BUCKET_STEP
        and (len(bucket) + 1) * segment.length * (segment.length + longest_context) <= MAX_MASK_ELEMENTS
    )
