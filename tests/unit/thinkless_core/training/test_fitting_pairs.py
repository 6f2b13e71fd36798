"""Pairs that the student cannot learn from are left out whole, and counted."""

from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerFast

from schemas.errors import ConfigError
from tests.specimens import make_pairs
from thinkless_core.student.rendering import render_completion, render_prompt
from thinkless_core.training.fitting_pairs import fitting_pairs, left_out

CONTEXT = 128
"""Of the tests' student."""


def test_pairs_that_do_not_fit_are_left_out_whole_and_counted(tokenizer: PreTrainedTokenizerFast) -> None:
    pairs = make_pairs(6, mix=(0.2, 0.2, 0.2, 0.2, 0.2))
    lengths = [
        len(render_prompt(tokenizer, pair.prompt))
        + len(render_completion(tokenizer, pair.think_completion, finished=True))
        for pair in pairs
    ]
    context = sorted(lengths)[3]
    fitting = fitting_pairs(pairs, tokenizer=tokenizer, context=context)
    assert fitting.pairs == [pair for pair, length in zip(pairs, lengths, strict=True) if length <= context]
    assert fitting.too_long == [pair for pair, length in zip(pairs, lengths, strict=True) if length > context]
    assert 0 < len(fitting.too_long) < 6
    assert left_out(fitting.too_long[0], context=context).problem_id == fitting.too_long[0].problem_id
    assert fitting_pairs(pairs, tokenizer=tokenizer, context=None) == (pairs, [])
    assert fitting_pairs(pairs, tokenizer=tokenizer, context=max(lengths)) == (pairs, [])


def test_a_long_short_side_counts_too_and_nothing_left_is_an_error(tokenizer: PreTrainedTokenizerFast) -> None:
    pair = make_pairs(1)[0]
    long = pair.model_copy(update={"short_completion": "<short>" + "7" * 200})
    assert fitting_pairs([pair, long], tokenizer=tokenizer, context=CONTEXT) == ([pair], [long])
    with pytest.raises(
        ConfigError, match=r"^sft: all 1 pairs are longer than the model's context of 128 tokens; lower"
    ):
        fitting_pairs([long], tokenizer=tokenizer, context=CONTEXT)
