"""Initialises new mode tokens to be about as probable as the model's usual first token.

a few questions -> distribution p of the answer's first token -> head row of a new mode token = sum_i p_i row_i

With the mean of all rows SmolLM2-135M gave a new token a probability of 4e-9, and a warm-up of thirty steps ended
before it was ever sampled (docs/experiments.md). With this row its probability is exp(-H), H the entropy of p: the
model hesitates between its own first words and the mode tokens, and is as likely to think as to answer at once. A model
that knows `<think>` and begins with it starts `<short>` from that row.

Shapes: N rows, H hidden size.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from schemas.mode import Mode
from thinkless_core.student.rendering import render_prompt

QUESTIONS = (
    "What is 12 * 7?",
    "Solve for x: 2x + 3 = 11.",
    "A train travels 180 miles in 3 hours. How far does it travel in 5 hours?",
    "How many positive divisors does 36 have?",
    "Anna has 15 apples and gives a third of them to Ben. How many does she keep?",
    "Find the area of a triangle with base 10 and height 6.",
    "If f(x) = x^2 - 4x, what is f(5)?",
    "What is the probability of rolling an even number with a fair die?",
)
"""Of the kind the student will be asked; no benchmark holds them."""


def start_mode_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, new_texts: Iterable[str]) -> None:
    """Give the head rows of new mode tokens their start, in place; what made them differ before still does."""
    new = [text for text in new_texts if text in {mode.token for mode in Mode}]
    ids = [int(tokenizer.convert_tokens_to_ids(text)) for text in new]
    if not ids:
        return
    head_NH = model.get_output_embeddings().weight
    with torch.no_grad():
        prompts = [torch.tensor([render_prompt(tokenizer, question)], device=model.device) for question in QUESTIONS]
        probs_N = torch.stack([model(p).logits[0, -1].float().softmax(dim=-1) for p in prompts]).mean(dim=0)
        probs_N[ids] = 0.0
        start_H = (probs_N / probs_N.sum()) @ head_NH.float()
        mean_H = head_NH[ids].float().mean(dim=0)
        for i in ids:
            own_H = head_NH[i].float() - mean_H
            head_NH[i] = (start_H + own_H).to(head_NH.dtype)
