"""The tokens of many texts, exactly as their tokenizer reads them, and as fast as their words repeat.

texts -> words, cut before spaces where the tokenizer cuts, too -> ids of a word, remembered -> number and first ids

A tokenizer reads a word alone as it does in its text only if its steps look at nothing across such a space. That is
known of the steps listed here, which are those of GPT-2, Llama 3, Qwen, GPT-4o and what descends from them. Texts of
every other tokenizer are read whole, some at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from transformers import PreTrainedTokenizerBase

CHARACTERS_AT_ONCE = 1 << 20
"""Texts up to this length together are read at once: enough for all cores, and little memory."""
REMEMBERED_WORDS = 100_000
LONGEST_REMEMBERED = 64
_JOINT = "\x00"
"""Stands for a space that does not begin a word."""
_NO_BEGINNING = re.compile(r" (?<![!-~\w] )")
"""A space after white space, or after a character that a tokenizer may take for such."""
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_PREFIX = r"[^\r\n\p{L}\p{N}]?"
_CASED = (f"{_PREFIX}{_UPPER}*{_LOWER}+", f"{_PREFIX}{_UPPER}+{_LOWER}*")
_SPACE_ALONE = r"\s+"
_ALTERNATIVES = (
    _CONTRACTIONS,
    rf"{_PREFIX}\p{{L}}+",
    rf"{_PREFIX}[\p{{L}}\p{{M}}]+",
    *_CASED,
    *(f"{cased}{_CONTRACTIONS}?" for cased in _CASED),
    r"\p{N}",
    r"\p{N}{1,3}",
    r" ?[^\s\p{L}\p{N}]+[\r\n]*",
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
    r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*",
    r"\s*[\r\n]+",
    r"\s+(?!\S)",
    _SPACE_ALONE,
)
"""What a pattern of words may try in turn. None matches a space behind another character, or looks back."""
_ALTERNATIVE = "|".join(map(re.escape, _ALTERNATIVES))
_KNOWN_PATTERN = re.compile(rf"(?:(?:{_ALTERNATIVE})\|)+{re.escape(_SPACE_ALONE)}")
_PROBE = (
    "It's a probe: 12 345 + 6.7 = x_1\n\n  Wait,\t<think>\u00e9 e\u0301 \u6f22\u5b57</think> \\frac{1}{2}  so  it IS. "
)


class Tokens(NamedTuple):
    """How many tokens a text has."""

    num: int
    first: list[int] | None
    """The ids it begins with, if it has more than were asked for."""


class CountedTokens:
    """Counts the tokens of texts, without any that a tokenizer adds around them."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, by_word: bool = False) -> None:
        """`by_word` is worth it for many texts: it takes a second to begin."""
        self._tokenizer = tokenizer
        self._words = _Words(tokenizer) if by_word and cuts_before_spaces(tokenizer) else None
        if self._words is not None and self._words.ids(_PROBE) != self._whole([_PROBE])[0]:
            self._words = None  # a class of its own that does more than its steps

    def read(self, texts: Sequence[str], *, most: int) -> Iterator[Tokens]:
        """The number of tokens of each text, with the first `most` ids of one that has more."""
        for batch in _batches(texts):
            if self._words is not None:
                yield from self._words.read(batch, most=most)
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

    def _whole(self, texts: list[str]) -> list[list[int]]:
        read: list[list[int]] = self._tokenizer(texts, add_special_tokens=False, split_special_tokens=False).input_ids
        return read


class _Words(dict[str, tuple[int, ...]]):
    """Ids of words, without the space in front of each. A word that is not there is noted in `missed`."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self._tokenizer = tokenizer
        self.missed: list[str] = []

    def __missing__(self, word: str) -> tuple[int, ...]:
        self.missed.append(word)
        return ()

    def read(self, texts: Sequence[str], *, most: int) -> Iterator[Tokens]:
        """See CountedTokens.read."""
        beginnings, known, missed = [], [], []
        for text in texts:
            beginning, *words = _cut(text)
            beginnings.append(beginning)
            known.append(sum(map(len, map(self.__getitem__, words))))
            missed.append(self.missed)
            self.missed = []
        distinct = list(dict.fromkeys(chain.from_iterable(missed)))
        begins = self._encoded(beginnings)
        others = dict(zip(distinct, self._encoded([*map(_spaced, distinct)]), strict=True))
        for text, begin, num, words in zip(texts, begins, known, missed, strict=True):
            num += len(begin) + sum(map(len, map(others.__getitem__, words)))
            yield Tokens(num, self._first(text, begin, others, most) if num > most else None)
        short = {word: ids for word, ids in others.items() if len(word) <= LONGEST_REMEMBERED}
        if len(self) + len(short) > REMEMBERED_WORDS:
            self.clear()
        self.update(short)

    def ids(self, text: str) -> list[int]:
        """All ids of a text."""
        begin, *words = _cut(text)
        return [*chain.from_iterable(self._encoded([begin, *map(_spaced, words)]))]

    def _first(self, text: str, begin: tuple[int, ...], others: Mapping[str, tuple[int, ...]], num: int) -> list[int]:
        ids = [*begin]
        for word in _cut(text)[1:]:
            if len(ids) >= num:
                break
            ids += others[word] if word in others else self[word]
        return ids[:num]

    def _encoded(self, texts: list[str]) -> list[tuple[int, ...]]:
        # This call puts the tokenizer in order: no limit, no padding, special tokens whole.
        self._tokenizer("", add_special_tokens=False, split_special_tokens=False)
        read = self._tokenizer.backend_tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [tuple(one.ids) for one in read]


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
        return step["behavior"] == "Isolated" and not step["invert"] and bool(_KNOWN_PATTERN.fullmatch(pattern))
    return step["type"] == "ByteLevel" and bool(step["use_regex"])


def _reaches_over_spaces(added: dict[str, Any]) -> bool:
    return bool(re.search(r"\s", added["content"]) or added["rstrip"] or added["single_word"])


def _cut(text: str) -> list[str]:
    """The beginning of a text, and each further word without the space in front of it."""
    if _JOINT in text:
        return [text]
    begin, *words = _NO_BEGINNING.sub(_JOINT, text).split(" ")
    return [begin.replace(_JOINT, " "), *words]


def _spaced(word: str) -> str:
    return " " + word.replace(_JOINT, " ")


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
