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
from thinkless_core.student.rendering import render_completion, render_prompt

OVER_CONTEXT = "over_context"
"""Reason of a drop: a side of the pair is longer than the context."""


class FittingPairs(NamedTuple):
    """Pairs whose prompt and completion fit into the context, on both sides, and the others."""

    pairs: list[Pair]
    too_long: list[Pair]
    context: int | None
    """The most tokens of a prompt and a completion; None if nothing limits them."""

    def dropped(self) -> list[DroppedRow]:
        """The others as rows of table `dropped`."""
        detail = f"longer than the context of {self.context} tokens"
        return [
            DroppedRow(
                stage="sft",
                reason=OVER_CONTEXT,
                problem_id=pair.problem_id,
                source="pairs",
                prompt=pair.prompt,
                detail=f"{detail}: think {pair.think_tokens}, short {pair.short_tokens}, and the prompt",
            )
            for pair in self.too_long
        ]


def fitting_pairs(pairs: Sequence[Pair], *, tokenizer: PreTrainedTokenizerBase, context: int | None) -> FittingPairs:
    """Leave out pairs of which a side does not fit: cut off, it would teach an answer that stops in the middle.

    Raises ConfigError where none is left.
    """
    if context is None:
        return FittingPairs(list(pairs), [], context)
    frame = len(render_prompt(tokenizer, "x"))
    kept: list[Pair] = []
    too_long: list[Pair] = []
    for pair in pairs:
        longest = max(most_tokens(pair.think_completion), most_tokens(pair.short_completion))
        if frame + most_tokens(pair.prompt) + longest + 1 > context:
            prompt = len(render_prompt(tokenizer, pair.prompt))
            think = render_completion(tokenizer, pair.think_completion, finished=not pair.think_truncated)
            short = render_completion(tokenizer, pair.short_completion, finished=not pair.short_truncated)
            if prompt + max(len(think), len(short)) > context:
                too_long.append(pair)
                continue
        kept.append(pair)
    if pairs and not kept:
        raise ConfigError(
            f"sft: all {len(pairs)} pairs are longer than the model's context of {context} tokens; lower "
            "teach.think.max_tokens, or choose a base model with a longer context"
        )
    return FittingPairs(kept, too_long, context)
