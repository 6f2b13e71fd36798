"""Pairs as samples to train on, two of each: `x -> <think> ... </think> answer` and `x -> <short> answer`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from schemas.mode import Mode
from schemas.records.pairs import Pair
from thinkless_core.student.rendering import Sample, render_completions, render_prompts


@dataclass(frozen=True)
class SidedSamples:
    """Both sides of some pairs, as samples; sides[i] is the mode of samples[i]."""

    samples: Sequence[Sample]
    sides: tuple[Mode, ...]

    def in_memory(self) -> SidedSamples:
        """The same, read once, for samples that are read from a file whenever they are asked for."""
        return SidedSamples(tuple(self.samples), self.sides)


def pair_samples(pairs: Sequence[Pair], *, tokenizer: PreTrainedTokenizerBase) -> SidedSamples:
    """The two samples of every pair, the long answer first."""
    prompts = render_prompts(tokenizer, [pair.prompt for pair in pairs])
    think = render_completions(
        tokenizer, [pair.think_completion for pair in pairs], finished=[not pair.think_truncated for pair in pairs]
    )
    short = render_completions(
        tokenizer, [pair.short_completion for pair in pairs], finished=[not pair.short_truncated for pair in pairs]
    )
    samples = [Sample(prompt, side) for prompt, *both in zip(prompts, think, short, strict=True) for side in both]
    return sided(tuple(samples))


def sided(samples: Sequence[Sample]) -> SidedSamples:
    """Samples that come in pairs, the long answer first."""
    return SidedSamples(samples, (Mode.THINK, Mode.SHORT) * (len(samples) // 2))
