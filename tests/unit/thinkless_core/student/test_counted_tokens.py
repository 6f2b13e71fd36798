"""Counting by words gives what the tokenizer gives for the whole text, for every kind of tokenizer."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from tests.unit.thinkless_core.student.trained_tokenizers import CORPUS, KINDS, byte_level
from thinkless_core.student import counted_tokens
from thinkless_core.student.counted_tokens import PATTERNS, CountedTokens, cuts_before_spaces

PIECES = [
    " ", "  ", "\n", "\n\n", "\t", "\r\n", "\u00a0", "\u2003", "\u200b", "\u0085", "\x1c", "\x00", "a", "B", "the",
    "It's", "WE'LL", "12", "345", "3.14", "=", "(", ")", "\\frac{1}{2}", "$x_1$", "\u00e9", "e\u0301", "\u0301",
    "\u00bd", "\u6f22\u5b57", "\U0001f600", "<|im_end|>", "<think>", "</think>", "'s", "!!!", "_", "x" * 80,
]  # fmt: skip


def of_pattern(pattern: str, *, normalizer: object = None, added: Sequence[AddedToken] = ()) -> PreTrainedTokenizerFast:
    """A byte-level BPE that splits by a pattern, trained here."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer.add_tokens([AddedToken("<think>", normalized=False), AddedToken("<|im_end|>", special=True), *added])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def texts_of(num: int) -> list[str]:
    """Texts of whatever may stand beside a space."""
    rng = random.Random(0)
    made = ["".join(rng.choices(PIECES, k=rng.randrange(40))) for _ in range(num)]
    return [*made, *(f"{left} {right}" for left in PIECES for right in PIECES), "", " ", "  a", CORPUS[4] * 9]


def whole(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """What the tokenizer makes of each text by itself."""
    return [tokenizer(text, add_special_tokens=False, split_special_tokens=False).input_ids for text in texts]


def refuse_other_counts(tokenizer: PreTrainedTokenizerBase) -> None:
    """Compare numbers of tokens and first ids, twice: when no word is known, and when all are."""
    texts = texts_of(300)
    expected = [(len(ids), ids[:7] if len(ids) > 7 else None) for ids in whole(tokenizer, texts)]
    tokens = CountedTokens(tokenizer, by_word=True)
    for _ in range(2):
        assert [(one.num, one.first) for one in tokens.read(texts, most=7)] == expected


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tokenizer_counts_as_it_does_alone(kind: Callable[[], PreTrainedTokenizerBase]) -> None:
    refuse_other_counts(kind())


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("normalizer", [None, normalizers.NFC()], ids=["none", "NFC"])
def test_known_patterns_are_read_by_words(name: str, normalizer: object) -> None:
    tokenizer = of_pattern(PATTERNS[name], normalizer=normalizer)
    assert cuts_before_spaces(tokenizer)
    refuse_other_counts(tokenizer)


def test_the_students_own_tokenizers_are_read_by_words(tokenizer: PreTrainedTokenizerFast) -> None:
    assert cuts_before_spaces(tokenizer)
    assert cuts_before_spaces(byte_level())


QWEN = PATTERNS["Qwen 2"]
OTHERS = {
    "words with spaces": of_pattern(rf"\p{{L}}+(?: \p{{L}}+)*|{QWEN}"),
    "a step back": of_pattern(rf"(?<=\d) |{QWEN}"),
    "no space alone": of_pattern(r"\p{N}|\s*[\r\n]+"),
    "a normalizer": of_pattern(QWEN, normalizer=normalizers.NFKC()),
    "a token with a space": of_pattern(QWEN, added=[AddedToken("the end", normalized=False)]),
    "a token that takes the space behind it": of_pattern(QWEN, added=[AddedToken("</think>", rstrip=True)]),
    "a token that is a word": of_pattern(QWEN, added=[AddedToken("the", single_word=True)]),
}


@pytest.mark.parametrize("name", OTHERS)
def test_others_are_read_whole(name: str) -> None:
    assert not cuts_before_spaces(OTHERS[name])
    refuse_other_counts(OTHERS[name])


def test_a_tokenizer_with_a_call_of_its_own_is_read_whole() -> None:
    class Shouting(PreTrainedTokenizerFast):
        def __call__(self, text: str | list[str], **settings: object) -> object:  # type: ignore[override]
            return super().__call__(text.upper() if isinstance(text, str) else [t.upper() for t in text], **settings)

    refuse_other_counts(Shouting(tokenizer_object=byte_level().backend_tokenizer))


def test_few_remembered_words_and_reading_in_parts_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted_tokens, "REMEMBERED", 3)
    monkeypatch.setattr(counted_tokens, "CHARACTERS_BY_WORD", 50)
    refuse_other_counts(byte_level())
    tokens = CountedTokens(byte_level(), by_word=True)
    [*tokens.read(texts_of(50), most=9)]
    assert len(tokens._known) == 3
