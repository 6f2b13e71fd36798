"""Pairs that are longer than the student's context are left out of the warm-up, and listed.

samples of a pair -> whether both fit; a pair that does not -> a row of table `dropped`
"""

from __future__ import annotations

from collections.abc import Sequence

from schemas.errors import ConfigError
from schemas.records.dropped import DroppedRow
from schemas.records.pairs import Pair
from thinkless_core.student.rendering import Sample

OVER_CONTEXT = "over_context"
"""Reason of a drop: a side of the pair is longer than the context."""


def fits(samples: Sequence[Sample], *, context: int | None) -> bool:
    """Whether a pair is trained on, given its two samples. Cut off, one would teach an answer that stops midway."""
    return context is None or max(map(len, samples)) <= context


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


def refuse_if_none_fits(num_pairs: int, *, num_dropped: int, context: int | None) -> None:
    """Raise ConfigError if all pairs were dropped."""
    if 0 < num_pairs == num_dropped:
        raise ConfigError(
            f"sft: all {num_pairs} pairs are longer than the model's context of {context} tokens; lower "
            "teach.think.max_tokens, or choose a base model with a longer context"
        )
