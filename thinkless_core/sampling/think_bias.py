"""A bias on the choice of the mode, for `generate()` of transformers; needs nothing but torch and transformers.

logits of the first generated token -> logit of `<think>` + bias -> temperature, top-p, draw

    P(think) / P(short) = exp(bias) * what the model gives them       at temperature 1

Shapes: B rows, L tokens so far (prompts padded on the left), V vocabulary.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from transformers import LogitsProcessor


class ThinkBiasLogitsProcessor(LogitsProcessor):  # type: ignore[misc]  # transformers is not checked
    """Adds `bias` to the logit of `think_id` at the first token of every completion, and nothing anywhere else.

    Above 0 the model thinks more, below 0 less. It acts before the temperature does, as transformers puts processors
    of the caller first. One object may serve many calls of `generate`, one after another, with any batch of prompts.
    """

    def __init__(self, think_id: int, bias: float) -> None:
        """`think_id` is `tokenizer.convert_tokens_to_ids("<think>")`; raises ValueError where `bias` is not finite."""
        if not math.isfinite(bias):
            raise ValueError(f"the think bias is {bias}, expected a number: above 0 thinks more, below 0 less")
        self.think_id = think_id
        self.bias = bias
        self._prompt_BL: Tensor | None = None
        self._length = 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Logits (B, V) for the token after `input_ids` (B, L)."""
        if self._goes_on(input_ids):
            self._length = input_ids.shape[1]
            return scores
        self._prompt_BL, self._length = input_ids.clone(), input_ids.shape[1]
        scores = scores.clone()
        scores[:, self.think_id] += self.bias
        return scores

    def _goes_on(self, input_ids_BL: Tensor) -> bool:
        """Whether these are the prompts of the last call with tokens generated after them, and no new prompts.

        Within a call of `generate` a row grows by a token at a time, or falls back where a draft was refused.
        """
        prompt_BL = self._prompt_BL
        if prompt_BL is None or not prompt_BL.shape[1] < input_ids_BL.shape[1] <= self._length + 1:
            return False
        if len(prompt_BL) != len(input_ids_BL):
            return False
        return torch.equal(input_ids_BL[:, : prompt_BL.shape[1]], prompt_BL)
