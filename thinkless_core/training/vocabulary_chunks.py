"""log pi of chosen tokens without all their logits: a slice of the vocabulary at a time, and again for the gradient.

hidden states (M, X), head (V, X) -> logits of a slice (M, C) -> running maximum, sum and entropy -> log pi (M)
backward: the slice's logits once more -> softmax less one-hot -> gradients of hidden states and head

The sums run along the vocabulary as in the online softmax (arXiv 1805.02867); logits that are never stored are those of
Cut Cross-Entropy (arXiv 2411.09009).

Shapes: M tokens, V vocabulary, C tokens of a slice, X hidden size, K control tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from thinkless_core.training.lora import control_rows_of

CHUNK_LOGITS = 1 << 21
"""Logits of a slice (8 MB in float32): as many as a processor's cache holds."""
LEAST_WIDTH = 1024
"""Tokens of a slice at least, however many hidden states there are: a product must not get thin."""


class TokenLogprobs(NamedTuple):
    """log pi of chosen tokens, and the entropy of the distributions they were chosen from (no gradient)."""

    logprobs_M: Tensor
    entropy_M: Tensor


@dataclass(frozen=True)
class Head:
    """What an output embedding multiplies with."""

    weight_VX: Tensor
    bias_V: Tensor | None
    rows_KX: Tensor | None
    """What adapters learned for the control tokens, beside `weight_VX`; None without adapters."""
    ids: tuple[int, ...]
    """The control tokens' ids."""


def head_of(layer: nn.Module) -> Head | None:
    """The head as matrices; None if it does more than multiply."""
    rows = control_rows_of(layer)
    hooks = len(layer._forward_hooks) + len(layer._forward_pre_hooks)
    own_hooks = 1 if hasattr(layer, "control_hook") else 0
    if type(layer) is not nn.Linear or hooks != own_hooks:
        return None
    rows_KX, ids = (None, ()) if rows is None else rows
    return Head(layer.weight, layer.bias, rows_KX, ids)


def chosen_logprobs(hidden_MX: Tensor, head: Head, ids_M: Tensor, *, temperature: float) -> TokenLogprobs:
    """log softmax(head(hidden) / temperature) at `ids_M`, in float32, from logits in the dtype of the product."""
    device = hidden_MX.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else head.weight_VX.dtype
    with torch.autocast(device, enabled=False):
        pair = _ChosenLogprobs.apply(  # type: ignore[no-untyped-call]
            hidden_MX, head.weight_VX, head.bias_V, head.rows_KX, ids_M, head.ids, temperature, dtype
        )
    return TokenLogprobs(*cast("tuple[Tensor, Tensor]", pair))


@dataclass(frozen=True)
class _Slice:
    """The tokens from `start` to `end` of the vocabulary, and the numbers of the control tokens among them."""

    start: int
    end: int
    places: tuple[int, ...]
    """Places within the slice of the control tokens that it holds."""
    numbers: tuple[int, ...]
    """Which of the K control tokens they are."""

    def chosen(self, ids_M: Tensor) -> tuple[Tensor, Tensor]:
        """Place of each chosen token in the slice (M, 1), and whether it is there (M)."""
        inside_M = (ids_M >= self.start) & (ids_M < self.end)
        return (ids_M - self.start).clamp(0, self.end - self.start - 1)[:, None], inside_M


def _slices(num_tokens: int, *, vocabulary: int, control_ids: tuple[int, ...]) -> Iterator[_Slice]:
    width = max(LEAST_WIDTH, CHUNK_LOGITS // max(num_tokens, 1))
    for start in range(0, vocabulary, width):
        end = min(start + width, vocabulary)
        here = [(i - start, number) for number, i in enumerate(control_ids) if start <= i < end]
        yield _Slice(start, end, tuple(place for place, _ in here), tuple(number for _, number in here))


@dataclass(frozen=True)
class _Product:
    """Hidden states and head, as the product is computed."""

    hidden_MX: Tensor
    """In the product's dtype."""
    head: Head
    temperature: float

    def slices(self) -> Iterator[_Slice]:
        """All slices of the vocabulary, in order."""
        return _slices(len(self.hidden_MX), vocabulary=len(self.head.weight_VX), control_ids=self.head.ids)

    def weight(self, part: _Slice) -> Tensor:
        """The head's rows of a slice, (C, X)."""
        return self.head.weight_VX[part.start : part.end].to(self.hidden_MX.dtype)

    def rows(self, part: _Slice) -> Tensor | None:
        """What adapters learned for the control tokens in a slice; None if it has none."""
        if self.head.rows_KX is None or not part.numbers:
            return None
        return self.head.rows_KX[list(part.numbers)].to(self.hidden_MX.dtype)

    def logits(self, part: _Slice, weight_CX: Tensor) -> Tensor:
        """Logits of the slice over the temperature, (M, C), in float32."""
        dtype = self.hidden_MX.dtype
        bias_C = None if self.head.bias_V is None else self.head.bias_V[part.start : part.end].to(dtype)
        logits_MC = nn.functional.linear(self.hidden_MX, weight_CX, bias_C)
        rows_KX = self.rows(part)
        if rows_KX is not None:
            logits_MC[:, list(part.places)] += self.hidden_MX @ rows_KX.T
        logits_MC = logits_MC.to(torch.float32)
        if self.temperature != 1.0:
            logits_MC /= self.temperature
        return logits_MC


class _ChosenLogprobs(torch.autograd.Function):
    """(hidden_MX, weight_VX, bias_V, rows_KX, ids_M, ids, temperature, dtype) -> log pi (M), entropy (M)."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, Tensor]:
        """See the class."""
        hidden_MX, weight_VX, bias_V, rows_KX, ids_M, ids, temperature, dtype = inputs
        product = _Product(hidden_MX.to(dtype), Head(weight_VX, bias_V, rows_KX, ids), temperature)
        zeros_M = torch.zeros(len(ids_M), device=hidden_MX.device)
        largest_M, sum_M, weighted_M, chosen_M = zeros_M - torch.inf, zeros_M, zeros_M, zeros_M
        for part in product.slices():
            logits_MC = product.logits(part, product.weight(part))
            places_M1, inside_M = part.chosen(ids_M)
            chosen_M = torch.where(inside_M, logits_MC.gather(1, places_M1)[:, 0], chosen_M)
            before_M, largest_M = largest_M, torch.maximum(largest_M, logits_MC.amax(dim=1))
            logits_MC -= largest_M[:, None]
            weights_MC = logits_MC.exp()
            # What was summed stood beside an earlier maximum; in the first slice there is nothing yet.
            shift_M = (before_M - largest_M).clamp(min=-1e4)
            own_M = torch.bmm(weights_MC[:, None], logits_MC[:, :, None])[:, 0, 0]
            weighted_M = (weighted_M + shift_M * sum_M) * shift_M.exp() + own_M
            sum_M = sum_M * shift_M.exp() + weights_MC.sum(dim=1)
        total_M = largest_M + sum_M.log()
        entropy_M = sum_M.log() - weighted_M / sum_M
        ctx.save_for_backward(hidden_MX, weight_VX, bias_V, rows_KX, ids_M, total_M)
        ctx.settings = ids, temperature, dtype
        ctx.mark_non_differentiable(entropy_M)
        return chosen_M - total_M, entropy_M

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_M: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of the four tensors that have one."""
        hidden_MX, weight_VX, bias_V, rows_KX, ids_M, total_M = ctx.saved_tensors
        ids, temperature, dtype = ctx.settings
        product = _Product(hidden_MX.to(dtype), Head(weight_VX, bias_V, rows_KX, ids), temperature)
        scaled_M = gradient_M.to(torch.float32) / temperature
        found = [
            torch.zeros_like(tensor, dtype=sum_dtype) if wanted else None
            for tensor, sum_dtype, wanted in zip(
                (hidden_MX, weight_VX, bias_V, rows_KX),
                (torch.float32, None, None, None),  # hidden states add up over slices, the others do not
                ctx.needs_input_grad[:4],
                strict=True,
            )
        ]
        for part in product.slices():
            weight_CX = product.weight(part)
            slope_MC = product.logits(part, weight_CX).sub_(total_M[:, None]).exp_().mul_(-scaled_M[:, None])
            places_M1, inside_M = part.chosen(ids_M)
            slope_MC.scatter_add_(1, places_M1, torch.where(inside_M, scaled_M, 0.0)[:, None])
            _add_gradients(found, product, part, slope_MC=slope_MC.to(dtype), weight_CX=weight_CX)
        if found[0] is not None:
            found[0] = found[0].to(hidden_MX.dtype)
        return (*found, None, None, None, None)


def _add_gradients(
    found: list[Tensor | None], product: _Product, part: _Slice, *, slope_MC: Tensor, weight_CX: Tensor
) -> None:
    """Take one slice into the gradients of hidden states, weight, bias and rows; None is not wanted."""
    hidden_MX, weight_VX, bias_V, rows_KX = found
    rows = product.rows(part)
    if hidden_MX is not None:
        if slope_MC.dtype == torch.float32:
            hidden_MX.addmm_(slope_MC, weight_CX)
        else:
            hidden_MX += slope_MC @ weight_CX
        if rows is not None:
            hidden_MX += slope_MC[:, list(part.places)] @ rows
    if weight_VX is not None:
        weight_VX[part.start : part.end] = slope_MC.T @ product.hidden_MX
    if bias_V is not None:
        bias_V[part.start : part.end] = slope_MC.sum(dim=0)
    if rows_KX is not None and rows is not None:
        rows_KX[list(part.numbers)] = (slope_MC[:, list(part.places)].T @ product.hidden_MX).to(rows_KX.dtype)
