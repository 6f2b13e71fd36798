"""Pairs that the student cannot learn from are left out whole, and counted."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from transformers import PreTrainedTokenizerFast

from schemas.errors import ConfigError
from schemas.records.pairs import Pair
from tests.specimens import make_pairs
from thinkless_core.student.rendering import render_completion, render_prompt
from thinkless_core.training.fitting_pairs import left_out
from thinkless_core.training.tokenised_pairs import TokenisedPairs

CONTEXT = 128
"""Of the tests' student."""


def too_long(pairs: Sequence[Pair], tokenizer: PreTrainedTokenizerFast, context: int | None) -> list[Pair]:
    return [pairs[row] for row in TokenisedPairs.of(pairs, tokenizer=tokenizer, context=context).too_long]


def test_pairs_that_do_not_fit_are_left_out_whole_and_counted(tokenizer: PreTrainedTokenizerFast) -> None:
    pairs = make_pairs(6, mix=(0.2, 0.2, 0.2, 0.2, 0.2))
    lengths = [
        len(render_prompt(tokenizer, pair.prompt))
        + len(render_completion(tokenizer, pair.think_completion, finished=True))
        for pair in pairs
    ]
    context = sorted(lengths)[3]
    found = too_long(pairs, tokenizer, context)
    assert found == [pair for pair, length in zip(pairs, lengths, strict=True) if length > context]
    assert 0 < len(found) < 6
    assert left_out(found[0], context=context).problem_id == found[0].problem_id
    assert too_long(pairs, tokenizer, None) == []
    assert too_long(pairs, tokenizer, max(lengths)) == []


def test_a_long_short_side_counts_too_and_nothing_left_is_an_error(tokenizer: PreTrainedTokenizerFast) -> None:
    pair = make_pairs(1)[0]
    long = pair.model_copy(update={"short_completion": "<short>" + "7" * 200})
    assert too_long([pair, long], tokenizer, CONTEXT) == [long]
    with pytest.raises(
        ConfigError, match=r"^sft: all 1 pairs are longer than the model's context of 128 tokens; lower"
    ):
        too_long([long], tokenizer, CONTEXT)
