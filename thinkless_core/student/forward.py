"""A forward pass that asks nothing of a model but to be causal: no cache, no mask, no positions.

Shapes: B rows (padded on the right, where a causal model never looks), L columns, V vocabulary, X hidden size.
"""

from __future__ import annotations

import inspect

from torch import Tensor, nn
from transformers import PreTrainedModel


def last_logits(model: PreTrainedModel, input_ids_BL: Tensor, *, keep: int) -> Tensor:
    """Logits (B, keep, V) of the last `keep` columns; a model that cannot leave out the others computes all."""
    options = _options(model, use_cache=False, logits_to_keep=keep)
    logits_BLV: Tensor = model(input_ids=input_ids_BL, **options).logits
    return logits_BLV[:, -keep:]


def last_hidden(model: PreTrainedModel, input_ids_BL: Tensor, *, keep: int) -> Tensor:
    """What the head is given, (B, keep, X), in the last `keep` columns."""
    body = model.base_model
    hidden_BLX: Tensor = body(input_ids=input_ids_BL, **_options(body, use_cache=False)).last_hidden_state
    return hidden_BLX[:, -keep:]


def _options(module: nn.Module, **wanted: object) -> dict[str, object]:
    """Those arguments that a model takes by name."""
    taken = inspect.signature(module.forward).parameters
    return {name: value for name, value in wanted.items() if name in taken}
