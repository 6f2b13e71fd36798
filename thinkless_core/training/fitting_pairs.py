"""Pairs that are longer than the student's context are left out of the warm-up, and listed.

pairs -> pairs whose both sides fit, and the others
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerBase

from schemas.errors import ConfigError
from schemas.records.dropped import DroppedRow
from schemas.records.pairs import Pair
from thinkless_core.student.context_length import most_tokens
from thinkless_core.student.rendering import Sample, render_prompt
from thinkless_core.training.sided_samples import pair_samples

OVER_CONTEXT = "over_context"
"""Reason of a drop: a side of the pair is longer than the context."""


class FittingPairs(NamedTuple):
    """Pairs whose prompt and completion fit into the context, on both sides, and the others."""

    pairs: list[Pair]
    too_long: list[Pair]


def left_out(pair: Pair, *, context: int | None) -> DroppedRow:
    """A pair that is longer than the context, as a row of table `dropped`."""
    return DroppedRow(
        stage="sft",
        reason=OVER_CONTEXT,
        problem_id=pair.problem_id,
        source="pairs",
        prompt=pair.prompt,
        detail=f"longer than the context of {context} tokens: think {pair.think_tokens}, short {pair.short_tokens}, "
        "and the prompt",
    )


def fits(samples: Sequence[Sample], *, context: int | None) -> bool:
    """Whether a pair is trained on, given its two samples. Cut off, one would teach an answer that stops midway."""
    return context is None or max(map(len, samples)) <= context


def fitting_pairs(pairs: Sequence[Pair], *, tokenizer: PreTrainedTokenizerBase, context: int | None) -> FittingPairs:
    """The pairs that the warm-up would train on, found without tokenising those that are clearly short enough.

    Raises ConfigError if none is left.
    """
    if context is None:
        return FittingPairs(list(pairs), [])
    frame = len(render_prompt(tokenizer, "x"))
    kept: list[Pair] = []
    too_long: list[Pair] = []
    for pair in pairs:
        longest = max(most_tokens(pair.think_completion), most_tokens(pair.short_completion))
        if frame + most_tokens(pair.prompt) + longest + 1 <= context or fits(
            pair_samples([pair], tokenizer=tokenizer).samples, context=context
        ):
            kept.append(pair)
        else:
            too_long.append(pair)
    refuse_if_none_fits(len(pairs), num_dropped=len(too_long), context=context)
    return FittingPairs(kept, too_long)


def refuse_if_none_fits(num_pairs: int, *, num_dropped: int, context: int | None) -> None:
    """Raise ConfigError if all pairs were dropped."""
    if 0 < num_pairs == num_dropped:
        raise ConfigError(
            f"sft: all {num_pairs} pairs are longer than the model's context of {context} tokens; lower "
            "teach.think.max_tokens, or choose a base model with a longer context"
        )
