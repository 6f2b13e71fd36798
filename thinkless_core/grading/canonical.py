"""One spelling per value, and everything around a value split off it.

answer text -> cleaned LaTeX (delimiters, spacing commands, variants of one command gone)
            -> Value: LaTeX without its unit, percent sign and number base, which are compared apart
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace

from thinkless_core.grading.delimiters import MATHS_DELIMITERS, without_delimiters
from thinkless_core.grading.units import is_known_unit, split_unit, split_unit_letter

LONGEST_MATHS = 1000
"""Characters up to which a value is read as mathematics; a longer one is compared letter by letter."""


@dataclass(frozen=True)
class Value:
    """An answer, taken apart."""

    latex: str
    """Cleaned LaTeX; what math-verify gets to read."""
    unit: str = ""
    """Singular, lower case, abbreviations spelt out; empty if there is none."""
    percent: bool = False
    base: str = ""
    """Digits of the subscript in `52_8`."""
    is_text: bool = False
    """Words, a choice letter, or several values side by side: nothing to calculate with."""

    @property
    def spelling(self) -> str:
        """Two values of one spelling are one value; spaces and upper case count in no text, spaces in no formula."""
        if self.is_text:
            return _plain_text(self.latex)
        return re.sub(r"\s+", "", re.sub(r"\\(?:cdot|times|ast)(?![a-zA-Z])", "*", self.latex))


_SYMBOLS = str.maketrans(
    {
        "\N{MINUS SIGN}": "-",
        "\N{EN DASH}": "-",
        "\N{MULTIPLICATION SIGN}": r"\times ",
        "\N{MIDDLE DOT}": r"\cdot ",
        "\N{DIVISION SIGN}": r"\div ",
        "\N{GREEK SMALL LETTER PI}": r"\pi ",
        "\N{INFINITY}": r"\infty ",
        "\N{LESS-THAN OR EQUAL TO}": r"\leq ",
        "\N{GREATER-THAN OR EQUAL TO}": r"\geq ",
        "\N{NOT EQUAL TO}": r"\neq ",
        "\N{LESS-THAN OR SLANTED EQUAL TO}": r"\leq ",
        "\N{GREATER-THAN OR SLANTED EQUAL TO}": r"\geq ",
        "\N{DOUBLE-STRUCK CAPITAL R}": r"\mathbb{R}",
        "\N{UNION}": r"\cup ",
        "\N{INTERSECTION}": r"\cap ",
        "\N{ELEMENT OF}": r"\in ",
        "\N{PLUS-MINUS SIGN}": r"\pm ",
        "\N{SQUARE ROOT}": r"\sqrt ",
        "\N{DEGREE SIGN}": r"^\circ",
        "\N{SUPERSCRIPT TWO}": "^2",
        "\N{SUPERSCRIPT THREE}": "^3",
        "\N{NO-BREAK SPACE}": " ",
        "\N{NARROW NO-BREAK SPACE}": " ",
        "\N{THIN SPACE}": " ",
        "\N{EMPTY SET}": r"\emptyset ",
        **{chr(code + 0xFEE0): chr(code) for code in range(0x21, 0x7F)},  # full width, as Chinese texts have them
        **{
            sign: rf"\frac{{{top}}}{{{bottom}}}"
            for sign, top, bottom in zip("½⅓⅔¼¾⅕⅛", "1121311", "2334458", strict=True)
        },
    }
)


def _repeating_decimal(found: re.Match[str]) -> str:
    """`0.1\\overline{6}` as a fraction."""
    whole, fixed, repeated = found.groups()
    denominator = (10 ** len(repeated) - 1) * 10 ** len(fixed)
    numerator = int(whole + fixed + repeated) - int((whole + fixed) or "0")
    return rf"\frac{{{numerator}}}{{{denominator}}}"


_ANGLE_OF = "sin|cos|tan|cot|sec|csc"

_CLEANING = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\(?:left|right)(?![a-zA-Z])\.?|\\(?:displaystyle|textstyle|[bB]igg?[lr]?|limits)(?![a-zA-Z])", ""),
        (r"(?<=\d),\s*(?:\\!)\s*|(?<=\d)\{,\}", ","),
        (r"(?<!\\)\\(?:[!,;:>]|q?quad(?![a-zA-Z])\s*)", ""),
        (r"(?<!\\)\\ |~|\s+", " "),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (rf"(\\(?:{_ANGLE_OF})\s*[({{]?\s*)(\d+(?:\.\d+)?)\s*\^\s*\{{?\s*\\circ\s*\}}?", r"\1\\frac{\2\\pi}{180}"),
        (r"\\(?:mbox|textbf|textit|textrm|mathrm|mathbf|mathit|hbox)(?=\s*\{)", r"\\text"),
        (r"(begin|end)\{bmatrix\}", r"\1{pmatrix}"),
        (r"\[\s*\\begin\{array\}\s*\{[clr|]*\}(.*)\\end\{array\}\s*\]", r"\\begin{pmatrix}\1\\end{pmatrix}"),
        (r"\\text\s*\{\s*([ei])\s*\}", r"\1"),
        (r"(?<=\d)\s+[xX]\s+(?=10\s*\^)", r"\\times "),
        (r"(?<=[\w)}])\*\*(?=[\w({-])", "^"),
        (r"\\varnothing(?![a-zA-Z])", r"\\emptyset"),
        (r"^(?:\\text\s*\{)?\s*[Nn]o (?:real )?solutions?\s*\}?$", r"\\emptyset"),
        (r"^(?:[Oo]ption|[Cc]hoice)\s+(?=\(?[A-J]\)?$)", ""),
        (r"\\mid(?![a-zA-Z])", "|"),
        (r"(\\\{[^|:{}]*[a-zA-Z][^|:{}]*):", r"\1|"),
        (r"(\d*)\.(\d*)\\overline\s*\{(\d+)\}", _repeating_decimal),
        (r"\\(?:l|r)angle(?![a-zA-Z])", lambda m: "(" if m[0] == r"\langle" else ")"),
        (r",?\s*\\text\s*\{\s*,?\s*(?:and|or)\s*\}\s*|,?\s+(?:and|or)\s+", ", "),
        (r"<=|\\leqslant(?![a-zA-Z])", r"\\leq "),
        (r">=|\\geqslant(?![a-zA-Z])", r"\\geq "),
        (r"!=|\\ne(?![a-zA-Z])", r"\\neq "),
        (r"\\(?:lt|gt)(?![a-zA-Z])", lambda m: "<" if m[0] == r"\lt" else ">"),
        (r"\\frac\s*(\d|[a-zA-Z])", r"\\frac{\1}"),
        (r"(\\frac\s*\{[^{}]*\})\s*(\d|[a-zA-Z])", r"\1{\2}"),
        (r"\\sqrt\s*(\d|[a-zA-Z])", r"\\sqrt{\1}"),
        (r"(?<![a-zA-Z\\])sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
        (r"(?<![a-zA-Z\\])(pi|infty|infinity)(?![a-zA-Z])", lambda m: r"\pi" if m[1] == "pi" else r"\infty"),
        (r"(?<![a-zA-Z\\])sqrt\s*(\d+)", r"\\sqrt{\1}"),
        (r"^\s*\\approx(?![a-zA-Z])", ""),
        (r"\\(l|g|n)e(?![a-zA-Z])", r"\\\1eq"),
        (r"([\^_])\{(\w)\}", r"\1\2"),
        (r"^([-+]?\d+) (\d+)/(\d+)$", r"\1\\frac{\2}{\3}"),
        (r"(?<![\d.])(\d{1,3}(?: \d{3})+)(?![\d ])", lambda m: m[1].replace(" ", "")),
        (r"(?<![\w.}])([-+]?\d+(?:\.\d+)?)[eE]([-+]?\d{1,3})(?!\w)", r"\1\\times 10^{\2}"),
    )
)

_DELIMITERS = (*MATHS_DELIMITERS, ("**", "**"), ("\\boxed{", "}"))
_FUNCTION = re.compile(rf"\\(?:{_ANGLE_OF})(?![a-zA-Z])")
_DEGREES = re.compile(r"\s*(?:\^\s*\{?\s*\\circ\s*\}?|\\degrees?(?![a-zA-Z]))(?:\s*(?:\\text\s*\{\s*[CF]\s*\}|[CF]))?$")
_MONEY = re.compile(r"^([-+]?)\s*(?:\\?\$|(\\pounds|£)|(\\euro|€))\s*(?=[-+.\d]|\\frac)")
_MONEY_BEHIND = re.compile(r"(?<=\d)\s*([£€¥¢])$")
_PERCENT = re.compile(r"\s*(?:\\?%|\\text\{\s*percent\s*\}|(?<![a-zA-Z])per ?cent)$")
_BASE = re.compile(r"^([-+]?[0-9A-F]+)\s*_\s*\{?\s*(\d+)\s*\}?$")
_WHOLE_TEXT = re.compile(r"^\\text\s*\{([^{}]*)\}$")
_WORDS = re.compile(r"^[^\W\d_]{4,}(?:[ '-][^\W_]+)*$")
_PLAIN = r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+|(?=\.\d))(?:\.\d+)?"
_SIDE_BY_SIDE = re.compile(rf"^{_PLAIN}(?:\s+{_PLAIN})+$")
_MATHS_SIGN = re.compile(r"(?<!\\)\$")


@functools.lru_cache(maxsize=16384)
def read_value(answer: str) -> Value:
    """Take an answer apart; never raises. Cached, because a reference meets many answers."""
    text = answer.strip()
    if len(text) > LONGEST_MATHS:
        return Value(text.rstrip("."))
    text = _clean(text)
    unit, percent, base = "", False, ""
    if money := _MONEY.match(text):
        text = money[1] + text[money.end() :]
        unit = "pound" if money[2] else "euro" if money[3] else "dollar"
    elif _DEGREES.search(text) and not _FUNCTION.search(text):
        text, unit = _DEGREES.sub("", text), "degree"
    text = text.strip("$").strip()
    if _PERCENT.search(text):
        text, percent = _PERCENT.sub("", text), True
    else:
        text, counted = split_unit(text)
        unit = unit or counted
    if sign := _MONEY_BEHIND.search(text):
        text, unit = text[: sign.start()], {"£": "pound", "€": "euro", "¢": "cent"}.get(sign[1], "yen")
    if based := _BASE.match(text):
        text, base = based[1], based[2]
    if whole := _WHOLE_TEXT.match(text):
        if any(c.isdigit() or c in ",;" for c in whole[1]):
            return read_value(whole[1])
        return Value(text, unit, percent, base, is_text=True)
    is_text = bool(_WORDS.match(text)) or bool(_SIDE_BY_SIDE.match(text))
    return Value(text, unit, percent, base, is_text)


def in_units_of(value: Value, other: Value) -> Value:
    """The value with its last letter read as a unit, where the other one names that unit or has no letters at all.

    `5 m` beside `5 meters` or `5`; `5m` beside `5` stays a product.
    """
    number, unit = split_unit_letter(value.latex)
    as_named = other.unit == unit
    as_plain = not other.unit and re.search(r"[ ^]", value.latex) and not any(c.isalpha() for c in other.latex)
    if value.unit or not unit or not (as_named or as_plain):
        return value
    return replace(value, latex=number, unit=unit)


def same_text(first: Value, second: Value) -> bool:
    """Whether two values read the same as text: `\\text{(C)}`, `(C)` and `C` do, `East` and `east` do."""
    return _plain_text(first.latex) == _plain_text(second.latex) != ""


def units_conflict(first: Value, second: Value) -> bool:
    """Both name a unit this grader knows, or both a number base, and not the same; a missing one says nothing."""
    units = first.unit, second.unit
    told_apart = units[0] != units[1] and all(is_known_unit(unit) for unit in units)
    return told_apart or (first.base != second.base and "" not in (first.base, second.base))


def _clean(text: str) -> str:
    before = None
    while text != before:  # delimiters may be nested: $\boxed{7}$.
        before = text
        text = text.strip().rstrip(".,;").strip()
        for left, right in _DELIMITERS:
            text = without_delimiters(text, left, right)
    if len(_MATHS_SIGN.findall(text)) % 2 == 0:  # a single one means money
        text = _MATHS_SIGN.sub("", text)
    text = text.translate(_SYMBOLS)
    for pattern, replacement in _CLEANING:
        text = pattern.sub(replacement, text)
    return text.strip()


def _plain_text(latex: str) -> str:
    text = re.sub(r"\\text\s*\{([^{}]*)\}", r"\1", latex)
    text = re.sub(r"\s+", " ", text).strip().rstrip(".").strip().casefold()
    choice = re.fullmatch(r"\(?\s*([a-z])\s*\)?", text)
    return choice[1] if choice else text
