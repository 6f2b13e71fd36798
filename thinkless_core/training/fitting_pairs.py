"""Pairs that are longer than the student's context are left out of the warm-up, and counted.

pairs -> pairs whose both sides fit, and how many do not
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from schemas.errors import ConfigError
from schemas.records.pairs import Pair
from thinkless_core.student.context_length import most_tokens
from thinkless_core.student.rendering import Sample, render_prompt
from thinkless_core.training.sided_samples import pair_samples

OVER_CONTEXT = "over_context"
"""Reason under which dropped pairs are counted."""


class FittingPairs(NamedTuple):
    """Pairs whose prompt and completion fit into the context, on both sides, and how many others there were."""

    pairs: list[Pair]
    num_dropped: int


def fits(samples: Sequence[Sample], *, context: int | None) -> bool:
    """Whether a pair is trained on, given its two samples. Cut off, one would teach an answer that stops midway."""
    return context is None or max(map(len, samples)) <= context


def fitting_pairs(pairs: Sequence[Pair], *, tokenizer: PreTrainedTokenizerBase, context: int | None) -> FittingPairs:
    """The pairs that the warm-up would train on, found without tokenising those that are clearly short enough.

    Raises ConfigError if none is left.
    """
    if context is None:
        return FittingPairs(list(pairs), 0)
    frame = len(render_prompt(tokenizer, "x"))
    kept = []
    for pair in pairs:
        longest = max(most_tokens(pair.think_completion), most_tokens(pair.short_completion))
        if frame + most_tokens(pair.prompt) + longest + 1 <= context or fits(
            pair_samples([pair], tokenizer=tokenizer).samples, context=context
        ):
            kept.append(pair)
    refuse_if_none_fits(len(pairs), num_dropped=len(pairs) - len(kept), context=context)
    return FittingPairs(kept, len(pairs) - len(kept))


def refuse_if_none_fits(num_pairs: int, *, num_dropped: int, context: int | None) -> None:
    """Raise ConfigError if all pairs were dropped."""
    if 0 < num_pairs == num_dropped:
        raise ConfigError(
            f"sft: all {num_pairs} pairs are longer than the model's context of {context} tokens; lower "
            "teach.think.max_tokens, or choose a base model with a longer context"
        )
