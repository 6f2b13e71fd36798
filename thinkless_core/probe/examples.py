"""What a model is probed with: a few short samples, what it predicts for each alone, how far two results may differ.

Shapes: L tokens of one sample, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from schemas.mode import THINK_END, Mode
from thinkless_core.student.forward import last_logits
from thinkless_core.student.model_folder import in_one_line
from thinkless_core.student.rendering import Sample, render_completion, render_prompt

CONVERSATIONS = (
    ("1+1=?", f"{Mode.SHORT.token}2"),
    ("1+1=?", f"{Mode.THINK.token}1 and 1{THINK_END}2"),
    ("Is 7 a prime number?", f"{Mode.SHORT.token}Yes."),
)
"""Two samples share a prompt; the third has a longer one and an answer of another length."""
TOLERANCE, HALF_TOLERANCE = 5e-3, 0.1
"""Largest difference of two log-probabilities that should be one, in standard deviations of a token's: float32 rounds
some 1e-5 of them (1e-3 in a recurrence), weights of 16 bits some 1e-2; whoever reads other tokens than it should is off
by a share of them."""


def samples(tokenizer: PreTrainedTokenizerBase) -> list[Sample]:
    """The conversations as the student will read them."""
    return [
        Sample(render_prompt(tokenizer, prompt), render_completion(tokenizer, completion, finished=True))
        for prompt, completion in CONVERSATIONS
    ]


class Plain(NamedTuple):
    """What the model predicts for each sample alone, in one forward pass without cache or padding."""

    samples: Sequence[Sample]
    logprobs_LV: Sequence[Tensor]
    """Per sample: log-probabilities of the next token behind each of its tokens."""
    tolerance: float
    """Largest difference that rounding can make."""

    def completion_logprobs(self, index: int) -> Tensor:
        """log pi of each completion token of one sample."""
        sample = self.samples[index]
        ids = torch.tensor(sample.completion_ids)[:, None]
        first = len(sample.prompt_ids) - 1
        return self.logprobs_LV[index][first : first + len(ids)].gather(1, ids)[:, 0]

    def differ(self, ours: Tensor, theirs: Tensor) -> float | None:
        """The largest difference, in nats, if it is more than rounding."""
        gap = float((ours - theirs).abs().max())
        return gap if not gap <= self.tolerance else None


def logprobs_of(model: PreTrainedModel, ids: Sequence[int]) -> Tensor:
    """Log-probabilities (L, V) of one row of tokens, in float32."""
    logits_1LV = last_logits(model, torch.tensor([list(ids)], device=model.device), keep=len(ids))
    return logits_1LV[0].float().log_softmax(dim=-1).cpu()


def plain(model: PreTrainedModel, found: Sequence[Sample]) -> Plain:
    """The model's own predictions, by which everything else is measured."""
    with torch.no_grad():
        logprobs_LV = [logprobs_of(model, (*sample.prompt_ids, *sample.completion_ids)) for sample in found]
    spread = max(float(values.std(dim=-1).mean()) for values in logprobs_LV)
    share = TOLERANCE if model.dtype == torch.float32 else HALF_TOLERANCE
    return Plain(found, logprobs_LV, share * spread + 1e-6)


def in_words(error: Exception) -> str:
    """What a model's own code raised, in one line."""
    return f"{type(error).__name__}: {in_one_line(error, most=200)}"
