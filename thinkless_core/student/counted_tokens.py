"""The number of tokens of many texts, exactly as their tokenizer counts them, in a fraction of its time.

texts -> words, cut before spaces; each different one once -> remembered words are looked up; others of ASCII are
         cut into pieces, which are looked up, too; the rest is read by the tokenizer -> number of each text

P words of all texts, T texts.

A text may be cut there only if the tokenizer always cuts there, too, and looks at nothing across such a space. That is
known of the steps listed here, which are those of GPT-2, Llama 3, Qwen, GPT-4o and what descends from them. Texts of
every other tokenizer are read whole, some at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence, Set
from itertools import accumulate, chain, islice, repeat, takewhile
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from tokenizers import Encoding
from transformers import PreTrainedTokenizerBase

from thinkless_core.student.word_pieces import WordPieces

BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

CHARACTERS_AT_ONCE = 1 << 20
"""Texts up to this length together are read at once: enough for all cores, and little memory."""
CHARACTERS_BY_WORD = 1 << 22
"""The same of texts that are read by word: the more, the fewer different words each has."""
REMEMBERED = 200_000
"""So many words are remembered, and pieces of words."""
_LONGEST = 64
"""A word is remembered if it has so many characters at most."""
NOT_CUT = -1
"""Instead of the number of tokens of a word that goes on behind the next space."""
_VISIBLE = r"[!-~\w]"
"""A character which no tokenizer takes for white space."""
_CUT = re.compile(rf" (?<={_VISIBLE} )")
"""A space that follows one."""
_CLOSED = re.compile(rf"{_VISIBLE}\Z")
"""A word that ends in one: the space behind it is a place to cut."""
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


class CountedTokens:
    """Counts the tokens of texts, without any that a tokenizer adds around them."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, by_word: bool = False) -> None:
        """`by_word` is worth it for many texts: it takes a second to begin."""
        self._tokenizer = tokenizer
        self._known: dict[str, int] = {}
        self._pieces: dict[str, int] = {}
        self._by_word = by_word and cuts_before_spaces(tokenizer) and self._is_what_its_steps_are()
        self._cuts = word_pieces(tokenizer) if self._by_word else None

    def read(self, texts: Sequence[str], *, most: int) -> Iterator[Tokens]:
        """The number of tokens of each text, with the first `most` ids of one that has more."""
        for batch in _batches(texts, CHARACTERS_BY_WORD if self._by_word else CHARACTERS_AT_ONCE):
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
        parts = pc.split_pattern(pa.array(texts, pa.large_string()), " ")
        begins_T = parts.offsets.to_numpy()[:-1]
        coded = parts.values.dictionary_encode()
        words, codes_P = coded.dictionary.to_pylist(), coded.indices.to_numpy()
        nums_P = np.array(self._count(words, may_be_open=True))[codes_P]
        heads, later = _runs(nums_P == NOT_CUT, begins_T)
        read = self._read([_joined(words, codes_P[run]) for run in heads])
        counted = self._count([_joined(words, codes_P[run]) for run in later])
        for run, num in zip([*heads, *later], [*map(len, read), *counted], strict=True):
            nums_P[run] = 0
            nums_P[run.start] = num
        nums = np.add.reduceat(nums_P, begins_T).tolist()
        longer = [self._beginning(text, most) for text, num in zip(texts, nums, strict=True) if num > most]
        first = iter(self._encoded(longer))
        for num in nums:
            yield Tokens(num, next(first).ids[:most] if num > most else None)

    def _count(self, words: Sequence[str], *, may_be_open: bool = False) -> list[int]:
        """The number of tokens of each word behind a space. NOT_CUT for an open one, if some may be: it goes on, since
        the space behind it is no place to cut."""
        known = [*map(self._known.get, words)]
        new = {w for w, num in zip(words, known, strict=True) if num is None}
        opened = {word for word in new if not _CLOSED.search(word)}
        counted = self._counted(sorted(new - opened if may_be_open else new))
        short = (word for word in counted if len(word) <= _LONGEST and word not in opened)
        self._known |= {word: counted[word] for word in islice(short, max(0, REMEMBERED - len(self._known)))}
        return [counted.get(w, NOT_CUT) if num is None else num for w, num in zip(words, known, strict=True)]

    def _counted(self, words: Sequence[str]) -> dict[str, int]:
        """Words behind a space, each with its number of tokens."""
        cut = [self._cuts.cut(" " + word) if self._cuts is not None else None for word in words]
        self._count_pieces({piece for pieces in cut for piece in pieces or ()})
        whole = map(len, self._read([" " + word for word, pieces in zip(words, cut, strict=True) if pieces is None]))
        return {
            word: next(whole) if pieces is None else sum(map(self._pieces.__getitem__, pieces))
            for word, pieces in zip(words, cut, strict=True)
        }

    def _count_pieces(self, pieces: Set[str]) -> None:
        """Remember the numbers of tokens of these pieces; of others, too, as long as there is room."""
        new = sorted(pieces - self._pieces.keys())
        if len(self._pieces) + len(new) > REMEMBERED:
            self._pieces.clear()
            new = sorted(pieces)
        self._pieces |= zip(new, map(len, self._read(new)), strict=True)

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


def _runs(is_open_P: BoolArray, begins_T: IntArray) -> tuple[list[slice], list[slice]]:
    """Words that are read together, since the spaces between them are no places to cut: those that a text begins with,
    which no space is before, even if it is one word, and the later ones.
    """
    num = len(is_open_P)
    ends_T = np.append(begins_T[1:], num)
    goes_on_P = np.append(False, is_open_P[:-1])
    goes_on_P[begins_T] = False
    is_later_P = is_open_P & ~goes_on_P
    is_later_P[begins_T] = False
    later = np.flatnonzero(is_later_P)
    closed = np.append(np.flatnonzero(~is_open_P), num)

    def runs(starts: IntArray) -> list[slice]:
        ends = ends_T[np.searchsorted(begins_T, starts, "right") - 1]
        stops = np.minimum(closed[np.searchsorted(closed, starts)] + 1, ends)
        return list(map(slice, starts.tolist(), stops.tolist()))

    return runs(begins_T), runs(later)


def _joined(words: Sequence[str], codes: IntArray) -> str:
    return " ".join(words[code] for code in codes.tolist())


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


def _batches(texts: Sequence[str], most: int) -> Iterator[list[str]]:
    batch: list[str] = []
    length = 0
    for text in texts:
        batch.append(text)
        length += len(text) + 1
        if length >= most:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch
