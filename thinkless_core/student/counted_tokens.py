"""The number of tokens of many texts, exactly as their tokenizer counts them, in a fraction of its time.

texts -> words, cut before spaces -> remembered words are looked up; others of ASCII are cut into pieces, which are
         looked up, too; the rest of a text is read together -> number

A text may be cut there only if the tokenizer always cuts there, too, and looks at nothing across such a space. That is
known of the steps listed here, which are those of GPT-2, Llama 3, Qwen, GPT-4o and what descends from them. Texts of
every other tokenizer are read whole, some at a time.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, chain, islice, repeat, takewhile
from typing import Any, NamedTuple

from tokenizers import Encoding
from transformers import PreTrainedTokenizerBase

from thinkless_core.student.word_pieces import WordPieces

CHARACTERS_AT_ONCE = 1 << 20
"""Texts up to this length together are read at once: enough for all cores, and little memory."""
REMEMBERED_WORDS = 200_000
_OFTEN, _LONGEST = 2, 64
"""A word is remembered if it has so many characters at most. One that cannot be cut into pieces also has to occur so
often in texts that are read at once."""
_CUT = re.compile(r" (?<=[!-~\w] )")
"""A space that follows a character which no tokenizer takes for white space."""
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_PREFIX = r"[^\r\n\p{L}\p{N}]?"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
PATTERNS = {
    "Llama 3": rf"{_CONTRACTIONS}|{_PREFIX}\p{{L}}+|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}",
    "Qwen 2": rf"{_CONTRACTIONS}|{_PREFIX}\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}",
    "Qwen 3.5": (rf"{_CONTRACTIONS}|{_PREFIX}[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_SPACES}"),
    "GPT-4o": (
        rf"{_PREFIX}{_UPPER}*{_LOWER}+{_CONTRACTIONS}?|{_PREFIX}{_UPPER}+{_LOWER}*{_CONTRACTIONS}?|\p{{N}}{{1,3}}"
        rf"| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACES}"
    ),
}
"""How they cut a text into words. None matches a space behind another character, or looks back."""
_PROBE = (
    "It's a probe: 12 345 + 6.7 = x_1\n\n  Wait,\t<think>\u00e9 e\u0301 \u6f22\u5b57</think> \\frac{1}{2}  so  it IS. "
)


class Tokens(NamedTuple):
    """How many tokens a text has."""

    num: int
    first: list[int] | None
    """The ids it begins with, if it has more than were asked for."""


class _KnownWords(dict[str, int]):
    """Words behind a space, and their numbers of tokens; `count` gives those of words that are missing."""

    def __init__(self, count: Callable[[str], int | None]) -> None:
        super().__init__()
        self._count = count
        self.others: list[str] = []
        """Words that were asked for and cannot be counted; 0 stood for each."""

    def __missing__(self, word: str) -> int:
        num = self._count(word)
        if num is None:
            self.others.append(word)
            return 0
        if len(self) < REMEMBERED_WORDS and len(word) <= _LONGEST:
            self[word] = num
        return num


class CountedTokens:
    """Counts the tokens of texts, without any that a tokenizer adds around them."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, by_word: bool = False) -> None:
        """`by_word` is worth it for many texts: it takes a second to begin."""
        self._tokenizer = tokenizer
        self._known = _KnownWords(self._count_pieces)
        self._by_word = by_word and cuts_before_spaces(tokenizer) and self._is_what_its_steps_are()
        self._count_piece = lru_cache(REMEMBERED_WORDS)(lambda piece: len(self._read([piece])[0]))
        self._cuts = word_pieces(tokenizer) if self._by_word else None

    def read(self, texts: Sequence[str], *, most: int) -> Iterator[Tokens]:
        """The number of tokens of each text, with the first `most` ids of one that has more."""
        for batch in _batches(texts):
            if self._by_word:
                yield from self._read_by_word(batch, most)
            else:
                for ids in self._whole(batch):
                    yield Tokens(len(ids), ids[:most] if len(ids) > most else None)

    @property
    def special(self) -> list[str]:
        """The tokenizer's special tokens."""
        return list(self._tokenizer.all_special_tokens)

    def decode(self, ids: list[int]) -> str:
        """The text of ids, special tokens included."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=False))

    def _read_by_word(self, texts: Sequence[str], most: int) -> Iterator[Tokens]:
        self._put_in_order()
        known = self._known
        nums, others = [], []
        for text in texts:
            begin, *words = _CUT.split(text)
            known.others = []
            nums.append(sum(map(known.__getitem__, words)))
            others.append([begin, *known.others])
        read = self._encoded([*map(" ".join, others)])
        nums = [num + len(one) for num, one in zip(nums, read, strict=True)]
        self._learn(Counter(chain.from_iterable(words for _, *words in others)))
        longer = [self._beginning(text, most) for text, num in zip(texts, nums, strict=True) if num > most]
        first = iter(self._encoded(longer))
        for num in nums:
            yield Tokens(num, next(first).ids[:most] if num > most else None)

    def _learn(self, others: Counter[str]) -> None:
        """Learn the words that cannot be cut into pieces and occur often, as long as there is room."""
        often = (word for word, num in others.items() if num >= _OFTEN and len(word) <= _LONGEST)
        learnt = list(islice(often, max(0, REMEMBERED_WORDS - len(self._known))))
        self._known |= zip(learnt, map(len, self._encoded([" " + word for word in learnt])), strict=True)

    def _count_pieces(self, word: str) -> int | None:
        """The number of tokens of a word behind a space; None if it cannot be cut into pieces."""
        pieces = self._cuts.cut(" " + word) if self._cuts is not None else None
        return None if pieces is None else sum(map(self._count_piece, pieces))

    def _beginning(self, text: str, most: int) -> str:
        """As many words as are known to have `most` tokens, or all."""
        begin, *words = _CUT.split(text)
        so_far = accumulate(map(self._known.get, words, repeat(0)), initial=0)
        return " ".join([begin, *words[: sum(1 for _ in takewhile(lambda num: num < most, so_far))]])

    def _is_what_its_steps_are(self) -> bool:
        """Whether it does no more than its steps, which a class of its own may."""
        begin, *words = _CUT.split(_PROBE)
        parts = self._encoded([begin, *(" " + word for word in words)])
        return [*chain.from_iterable(part.ids for part in parts)] == self._whole([_PROBE])[0]

    def _encoded(self, texts: list[str]) -> list[Encoding]:
        self._put_in_order()
        return self._read(texts)

    def _put_in_order(self) -> None:
        """No limit, no padding, special tokens whole."""
        self._tokenizer("", add_special_tokens=False, split_special_tokens=False)

    def _read(self, texts: list[str]) -> list[Encoding]:
        read: list[Encoding] = self._tokenizer.backend_tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return read

    def _whole(self, texts: list[str]) -> list[list[int]]:
        read: list[list[int]] = self._tokenizer(texts, add_special_tokens=False, split_special_tokens=False).input_ids
        return read


def cuts_before_spaces(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a tokenizer always ends a word before a space that follows a visible character, and looks no further."""
    if not tokenizer.is_fast:
        return False
    parts = json.loads(tokenizer.backend_tokenizer.to_str())
    steps = _steps(parts["pre_tokenizer"], "pretokenizers")
    normalizers = _steps(parts["normalizer"], "normalizers")
    return (
        all(normalizer == {"type": "NFC"} for normalizer in normalizers)
        and all(map(_is_local, steps))
        and any(map(_cuts, steps))
        and not parts["model"].get("dropout")
        and not any(map(_reaches_over_spaces, parts["added_tokens"]))
    )


def word_pieces(tokenizer: PreTrainedTokenizerBase) -> WordPieces | None:
    """How a tokenizer that cuts before spaces cuts a word of ASCII."""
    parts = json.loads(tokenizer.backend_tokenizer.to_str())
    added = [token["content"] for token in parts["added_tokens"]]
    return WordPieces.of(_steps(parts["pre_tokenizer"], "pretokenizers"), added)


def _steps(part: dict[str, Any] | None, name: str) -> list[dict[str, Any]]:
    if part is None:
        return []
    return [step for one in part[name] for step in _steps(one, name)] if part["type"] == "Sequence" else [part]


def _is_local(step: dict[str, Any]) -> bool:
    if step["type"] == "ByteLevel":
        return not step["add_prefix_space"]
    return step["type"] == "Digits" or _cuts(step)


def _cuts(step: dict[str, Any]) -> bool:
    if step["type"] == "Split":
        pattern = step["pattern"].get("Regex", "")
        return step["behavior"] == "Isolated" and not step["invert"] and pattern in PATTERNS.values()
    return step["type"] == "ByteLevel" and bool(step["use_regex"])


def _reaches_over_spaces(added: dict[str, Any]) -> bool:
    return bool(re.search(r"\s", added["content"]) or added["rstrip"] or added["single_word"])


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    length = 0
    for text in texts:
        batch.append(text)
        length += len(text) + 1
        if length >= CHARACTERS_AT_ONCE:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch
