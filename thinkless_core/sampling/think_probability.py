"""P(think): how likely the model is to think about a problem, read off the logits of token 0 without sampling.

    P(think) = pi(<think> | x) / (pi(<think> | x) + pi(<short> | x))        at temperature 1

Shapes: B prompts, L prompt length (padded on the left), V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from thinkless_core.sampling.decoding import UncachedDecoding, left_padded
from thinkless_core.student.control_tokens import ControlTokens
from thinkless_core.student.limits import Limit, limits_of
from thinkless_core.student.rendering import render_prompts


def think_probabilities(
    model: PreTrainedModel,
    prompts: Sequence[str],
    *,
    tokenizer: PreTrainedTokenizerBase,
    batch_size: int = 256,
) -> list[float]:
    """P(think) of each prompt, exact."""
    control = ControlTokens.of(tokenizer)
    was_training = model.training
    model.eval()
    probabilities: list[float] = []
    try:
        with torch.inference_mode():
            for start in range(0, len(prompts), batch_size):
                ids = render_prompts(tokenizer, prompts[start : start + batch_size])
                logits_BV = _first_logits(model, ids, pad_id=tokenizer.pad_token_id)
                think_B, short_B = (logits_BV[:, i].to(torch.float32) for i in (control.think_id, control.short_id))
                margin_B = (think_B - short_B).to(torch.float64)  # in bfloat16 the difference would be rounded
                probabilities.extend(margin_B.sigmoid().tolist())
    finally:
        model.train(was_training)
    return probabilities


def _first_logits(model: PreTrainedModel, prompts: Sequence[tuple[int, ...]], *, pad_id: int) -> Tensor:
    """Logits (B, V) of token 0; left padding is what the cache needs, too."""
    if Limit.CACHE in limits_of(model):
        return UncachedDecoding(model, pad_id).start(prompts)
    padded = left_padded(prompts, pad_id=pad_id, device=model.device)
    logits: Tensor = model(
        input_ids=padded.input_ids_BL,
        attention_mask=padded.mask_BL,
        position_ids=padded.position_ids_BL,
        logits_to_keep=1,
        use_cache=False,
    ).logits
    return logits[:, -1]
