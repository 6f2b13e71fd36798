"""Texts whose backslashes were lost on the way: `\\frac` with one backslash is, in JSON, a form feed and `rac`.

text -> unusable_character: what no text holds on purpose (control characters, halves of characters); it is refused
     -> doubtful_break: a tab or a break of the line in front of what completes a LaTeX command; worth a warning
"""

from __future__ import annotations

import re

_ESCAPES = {"\a": ("bell", "a"), "\b": ("backspace", "b"), "\v": ("vertical tab", "v"), "\f": ("form feed", "f")}
_BREAKS = {"\t": ("tab", "t"), "\n": ("line break", "n"), "\r": ("carriage return", "r")}
_UNUSABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_BREAK = re.compile(r"[\t\n\r]")
_LETTERS = re.compile(r"[a-zA-Z]*")

_TAB = (
    "anh|au|binom|ext(?:bf|color|it|normal|rm|sc|sf|style|superscript|tt|up)?|frac|herefore|heta|hick(?:approx|sim)"
    "|ilde|imes|riangle(?:down|left|lefteq|q|right|righteq)?|woheadrightarrow"
)
_LINE = (
    "abla|atural|cong|earrow|eq|ewcommand|ewline|exists|geq|geqslant|gtr|leq|leqslant|exists|olimits|onumber|otag|otin"
    "|otni|parallel|prec|preceq|sim|subseteq|succ|succeq|supseteq|triangleleft|triangleright|warrow|Leftarrow"
    "|Rightarrow|leftarrow|rightarrow"
)
_RETURN = (
    "angle|brace|brack|ceil|ef|egular|floor|ho|ight|ightarrow|ightharpoonup|ightleftharpoons|m|oot|times|ule|vert|Vert"
)
_SURE = re.compile(rf"(?:\t(?:{_TAB})|\n(?:{_LINE})|\r(?:{_RETURN}))(?![a-zA-Z])(?!\.\s)")
_IN_FORMULA = re.compile(r"(?<=[ $])(?:\t(?:an|o|op|ag)|\n(?:e|eg|i|less|mid|ot|u))(?=[ $_^{(\\])")
"""Words and names of variables, too: they count only between the dollars of a formula in a sentence."""


def unusable_character(text: str) -> str | None:
    """The first character that makes a text useless, with its likely cause; None if there is none."""
    found = _UNUSABLE.search(text)
    if found is None:
        return None
    character = found.group()
    if character in _ESCAPES:
        name, letter = _ESCAPES[character]
        return f"a {name}{_lost_backslash(text, found.end(), letter)}"
    if "\ud800" <= character <= "\udfff":
        return f"a lone surrogate, U+{ord(character):04X}, which is half of a character and no text"
    return f"the control character U+{ord(character):04X}"


def doubtful_break(text: str) -> str | None:
    """The first tab or break of a line that is probably the beginning of a LaTeX command; None if there is none."""
    if not _BREAK.search(text):
        return None
    found = _SURE.search(text) or next(
        (f for f in _IN_FORMULA.finditer(text) if text.count("$", 0, f.start()) % 2), None
    )
    if found is None:
        return None
    name, letter = _BREAKS[found.group()[0]]
    return f"a {name}{_lost_backslash(text, found.start() + 1, letter)}"


def printable(text: str) -> str:
    """A text that can be written to any file: halves of characters are spelt out."""
    return text.encode(errors="backslashreplace").decode()


def _lost_backslash(text: str, end: int, letter: str) -> str:
    rest = _LETTERS.match(text, end)
    assert rest is not None
    followed = f" followed by {rest.group()!r}" if rest.group() else ""
    return f"{followed}, most likely an unescaped backslash (\\{letter}{rest.group()})"
