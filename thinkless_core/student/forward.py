"""A forward pass that asks nothing of a model but to be causal: no cache, no mask, no positions.

Shapes: B rows (padded on the right, where a causal model never looks), L columns, V vocabulary.
"""

from __future__ import annotations

import inspect

from torch import Tensor
from transformers import PreTrainedModel


def last_logits(model: PreTrainedModel, input_ids_BL: Tensor, *, keep: int) -> Tensor:
    """Logits (B, keep, V) of the last `keep` columns; a model that cannot leave out the others computes all."""
    taken = inspect.signature(model.forward).parameters
    wanted = {"use_cache": False, "logits_to_keep": keep}
    options = {name: value for name, value in wanted.items() if name in taken}
    logits_BLV: Tensor = model(input_ids=input_ids_BL, **options).logits
    return logits_BLV[:, -keep:]
