"""A word of ASCII falls into the pieces that the tokenizer's own steps cut it into."""

from __future__ import annotations

import random

import pytest
from tokenizers import Regex, pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from tests.unit.thinkless_core.student.test_counted_tokens import of_pattern
from tests.unit.thinkless_core.student.trained_tokenizers import byte_level
from thinkless_core.student.counted_tokens import PATTERNS, word_pieces

PARTS = [*map(chr, range(128)), "\n\n", "  ", "'s", "'LL", "It", "ABc", "\\frac{1}{2}", "12345", "\r\n\r", "/\n"]


def with_steps(*steps: pre_tokenizers.PreTokenizer) -> PreTrainedTokenizerFast:
    """The byte-level tokenizer with other steps."""
    tokenizer = byte_level().backend_tokenizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*steps])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


TOKENIZERS = {
    "GPT-2": byte_level(),
    "SmolLM2": with_steps(pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)),
    "numbers": with_steps(pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.ByteLevel(False)),
    **{name: of_pattern(pattern) for name, pattern in PATTERNS.items()},
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_pieces_are_those_of_the_tokenizer(name: str) -> None:
    tokenizer, rng = TOKENIZERS[name], random.Random(0)
    cuts = word_pieces(tokenizer)
    assert cuts is not None
    for _ in range(5_000):
        word = " " + "".join(rng.choices(PARTS, k=rng.randrange(1, 12)))
        pieces = cuts.cut(word)
        assert pieces is not None
        assert ["".join(pieces), *pieces] == [word, *pieces_of(tokenizer, word)]
        for piece in pieces:
            assert pieces_of(tokenizer, piece) == [piece], "a piece that is read alone stays whole"


def pieces_of(tokenizer: PreTrainedTokenizerBase, text: str) -> list[str]:
    """Where the tokenizer's own steps cut."""
    cut = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str(text)
    return [text[start:end] for _, (start, end) in cut]


def test_a_word_with_an_added_token_or_another_character_is_not_cut() -> None:
    cuts = word_pieces(TOKENIZERS["Qwen 2"])
    assert cuts is not None
    assert [cuts.cut(word) for word in (" a<think>b", " caf\u00e9", " so<|im_end|>")] == [None] * 3
    assert cuts.cut(" a<thin>b") == [" a", "<thin", ">b"]


def test_steps_of_which_the_order_is_not_known_cut_nothing() -> None:
    split = pre_tokenizers.Split(Regex(PATTERNS["Qwen 2"]), "isolated")
    for steps in ([split, pre_tokenizers.ByteLevel(False)], [pre_tokenizers.ByteLevel(False), pre_tokenizers.Digits()]):
        assert word_pieces(with_steps(*steps)) is None
