"""The pieces into which a tokenizer's steps cut a word of ASCII, found without the tokenizer.

word -> (digits apart?) -> pieces of the pattern; each of them has its own tokens, whatever stands beside it

Among ASCII characters the classes of a pattern are ranges, which Python's own expressions know as well. A piece that is
read alone stays whole: only `\\s+(?!\\S)` looks at what follows, and it matches all of a white space that stands alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""How a step `ByteLevel` cuts."""
_RANGES = {"L": "A-Za-z", "Lu": "A-Z", "Ll": "a-z", "N": "0-9"}
"""The others, such as marks, have no ASCII characters."""
_CLASS = re.compile(r"\\p\{(\w+)\}")
_BRACKETS_OR_CLASS = re.compile(rf"\[[^\]]*\]|{_CLASS.pattern}")


class WordPieces(NamedTuple):
    """Cuts words of ASCII."""

    digits: re.Pattern[str] | None
    """What is cut first, if digits stand apart."""
    pattern: re.Pattern[str]
    added: re.Pattern[str]
    """Tokens that are looked for before any step."""

    @classmethod
    def of(cls, steps: Sequence[dict[str, Any]], added: Collection[str]) -> WordPieces | None:
        """The same cuts as a tokenizer's steps with its added tokens; None if they are not known to be the same."""
        *before, last = steps
        cutting = [step for step in steps if step["type"] != "ByteLevel" or step["use_regex"]]
        digits = cutting.pop(0) if cutting and cutting[0]["type"] == "Digits" else None
        if last["type"] != "ByteLevel" or any(step["type"] == "ByteLevel" for step in before) or len(cutting) != 1:
            return None
        (step,) = cutting
        if step["type"] == "Digits":
            return None
        pattern = GPT2 if step["type"] == "ByteLevel" else step["pattern"]["Regex"]
        first = None if digits is None else re.compile(rf"[0-9]{'' if digits['individual_digits'] else '+'}|[^0-9]+")
        tokens = re.compile("|".join(map(re.escape, added)) or r"(?!)")
        return cls(first, re.compile(_in_ascii(pattern), re.ASCII), tokens)

    def cut(self, word: str) -> list[str] | None:
        """Its pieces; None if it is not all ASCII, or holds an added token."""
        if not word.isascii() or self.added.search(word):
            return None
        if self.digits is None:
            return self.pattern.findall(word)
        return [piece for part in self.digits.findall(word) for piece in self.pattern.findall(part)]


def _in_ascii(pattern: str) -> str:
    """A pattern with ranges for its classes."""

    def ranges(found: re.Match[str]) -> str:
        inside = _CLASS.sub(lambda one: _RANGES.get(one[1], ""), found[0])
        return inside if found[0].startswith("[") else f"[{inside}]"

    return _BRACKETS_OR_CLASS.sub(ranges, pattern)
