"""The control tokens as token ids: a completion's mode is the id of its token 0, and nothing else.

tokenizer -> `<short>`, `<think>`, `</think>` as one id each -> rows of the embedding and of the head for the new ones

They are added tokens but not special ones: text written with `skip_special_tokens=True`, the default of vLLM and of
transformers' pipelines, still tells the mode and where thinking ended. A tokenizer that has one of them as a special
token gets it made an ordinary added token under its old id. What a user spells out is kept apart in `rendering.py`.

A new row is the mean of the rows in use, plus a little noise: no text before the first control token becomes less
likely than it was (J. Hewitt, "Initializing New Word Embeddings for Pretrained Language Models", 2021), neither mode
begins as the favourite, and the noise lets the model tell the two apart. The mean of a token's own pieces would give
`<think>` and `</think>` almost the same row, and `<short>` whatever the word happened to mean to the base model.

Shapes: N rows, H hidden size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from tokenizers import AddedToken
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from schemas.errors import ConfigError
from schemas.mode import THINK_END, Mode
from thinkless_core.torch_streams import torch_generator

CONTROL_TEXTS = (Mode.SHORT.token, Mode.THINK.token, THINK_END)
"""Every text that must be one token."""
NOISE = 0.1
"""Noise of a new row, in standard deviations of the rows in use, number by number."""
ROW_MULTIPLES = (128, 64)
"""Embeddings with a row count divisible by one of these keep that: matrix kernels and parallel layers count on it."""


@dataclass(frozen=True)
class ControlTokens:
    """Ids of `<short>`, `<think>` and `</think>` in one tokenizer."""

    short_id: int
    think_id: int
    think_end_id: int

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> ControlTokens:
        """Look the control tokens up; raises ConfigError if one is not a single token."""
        ids = {}
        for text in CONTROL_TEXTS:
            encoded = tokenizer(text, add_special_tokens=False).input_ids
            if len(encoded) != 1:
                raise ConfigError(
                    f"control token {text!r} is {len(encoded)} tokens {encoded} in this tokenizer, expected one; "
                    "add it to the tokenizer before training, as stage base does"
                )
            ids[text] = encoded[0]
        return cls(short_id=ids[Mode.SHORT.token], think_id=ids[Mode.THINK.token], think_end_id=ids[THINK_END])

    def id_of(self, mode: Mode) -> int:
        """The control token id of a mode."""
        return self.short_id if mode is Mode.SHORT else self.think_id

    def mode_of(self, token_id: int) -> Mode | None:
        """The mode of a first token; None if it is no control token (malformed)."""
        return {self.short_id: Mode.SHORT, self.think_id: Mode.THINK}.get(token_id)


def add_control_tokens(tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """Make every control text a single, visible token of `tokenizer`; those it did not have, in order.

    Raises ConfigError for a tokenizer that takes no new tokens, or takes them and still cuts them up.
    """
    known = tokenizer.get_vocab()
    try:
        tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in CONTROL_TEXTS])
    except (NotImplementedError, ValueError, TypeError) as error:
        raise ConfigError(
            f"{type(tokenizer).__name__} takes no new tokens ({error}), so {', '.join(CONTROL_TEXTS)} cannot become "
            "one token each; choose a base model whose vocabulary can be extended"
        ) from error
    extra = [str(token) for token in tokenizer.extra_special_tokens]
    tokenizer.extra_special_tokens = [token for token in extra if token not in CONTROL_TEXTS]
    ControlTokens.of(tokenizer)
    return tuple(text for text in CONTROL_TEXTS if text not in known)


def extend_embeddings(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, new_texts: Iterable[str], *, seed: int
) -> None:
    """Give each new token a row of its own, in the embedding and, where they are not tied, in the head.

    All other rows stay as they are, bit by bit. Rows are added only if the matrix has none to spare (many models
    have more rows than tokens), and then as many as keep its row count a multiple of 128 or 64 if it was one; such
    spare rows are the mean without noise. Raises ConfigError if the vocabulary cannot be extended.
    """
    new_ids = {text: int(tokenizer.convert_tokens_to_ids(text)) for text in new_texts}
    vocabulary = tokenizer.get_vocab()
    embedding_NH, head_NH = _matrices(model)
    num_rows, tied = embedding_NH.shape[0], head_NH is embedding_NH
    used = sorted({i for text, i in vocabulary.items() if text not in new_ids and i < num_rows})
    num_needed = max(vocabulary.values()) + 1
    if num_needed > num_rows:
        _add_rows(model, _padded(num_needed, like=num_rows))
        embedding_NH, head_NH = _matrices(model)
        if min(embedding_NH.shape[0], head_NH.shape[0]) < num_needed or tied is not (head_NH is embedding_NH):
            raise ConfigError(
                f"{type(model).__name__}: embedding {tuple(embedding_NH.shape)} and head {tuple(head_NH.shape)} do not "
                f"fit {num_needed} tokens, or are no longer tied as they were; choose another base model"
            )
    matrices = {"embedding": embedding_NH} if tied else {"embedding": embedding_NH, "head": head_NH}
    bias_N = getattr(model.get_output_embeddings(), "bias", None)
    with torch.no_grad():
        for name, rows_NH in matrices.items():
            used_NH = rows_NH[used].float()
            mean_H, deviation_H = used_NH.mean(dim=0), used_NH.std(dim=0)
            rows_NH[num_rows:] = mean_H.to(rows_NH.dtype)
            for text, i in new_ids.items():
                noise_H = torch.randn(mean_H.shape, generator=torch_generator("control-token", seed, name, text))
                rows_NH[i] = (mean_H + NOISE * deviation_H * noise_H.to(mean_H.device)).to(rows_NH.dtype)
        if bias_N is not None:
            mean = bias_N[used].mean()
            bias_N[num_rows:] = mean
            bias_N[list(new_ids.values())] = mean


def _matrices(model: PreTrainedModel) -> tuple[Tensor, Tensor]:
    """Weights (N, H) of the embedding and of the head; the same object if they are tied."""
    try:
        layers = (model.get_input_embeddings(), model.get_output_embeddings())
    except NotImplementedError:
        layers = (None, None)
    weights = tuple(getattr(layer, "weight", None) for layer in layers)
    for part, weight in zip(("embedding", "head"), weights, strict=True):
        if not isinstance(weight, Tensor) or weight.ndim != 2 or not weight.is_floating_point():
            kind = "none" if weight is None else f"a {type(weight).__name__} of {getattr(weight, 'dtype', '?')}"
            raise ConfigError(
                f"{type(model).__name__}: its vocabulary cannot be extended: expected a matrix of floating point "
                f"numbers as {part}, got {kind}; choose a base model with ordinary, unquantised weights"
            )
    embedding_NH, head_NH = weights
    assert isinstance(embedding_NH, Tensor)
    assert isinstance(head_NH, Tensor)
    return embedding_NH, head_NH


def _add_rows(model: PreTrainedModel, num_rows: int) -> None:
    try:
        # What transformers puts into new rows is drawn from the global state, and overwritten by the caller.
        with torch.random.fork_rng(devices=[]):
            model.resize_token_embeddings(num_rows, mean_resizing=False)
    except (NotImplementedError, AttributeError, ValueError, TypeError, RuntimeError) as error:
        raise ConfigError(
            f"{type(model).__name__}: its vocabulary cannot be extended to {num_rows} rows: {error}; choose a base "
            "model whose embeddings can be resized, or one that has <short>, <think> and </think> as tokens already"
        ) from error


def _padded(num_tokens: int, *, like: int) -> int:
    multiple = next((m for m in ROW_MULTIPLES if like % m == 0), 1)
    return -(-num_tokens // multiple) * multiple
