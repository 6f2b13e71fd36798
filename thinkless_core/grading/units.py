"""Units behind a value: `15 \\text{ cm}^2`, `9 miles per hour`, `5 million`.

LaTeX of a value -> (value, unit in the singular, abbreviations spelt out)
"""

from __future__ import annotations

import re

_WORDS = r"\\text\s*\{[^{}\d]*\}|(?<=\d)\s*[a-zA-Z]{2,}(?:[ /][a-zA-Z]+){0,3}"
_VALUE_AND_UNIT = re.compile(rf"^(?P<value>.*[\d}})])\s*(?P<unit>{_WORDS})\.?(?P<power>\s*\^\s*\{{?[23]\}}?)?$")
_VALUE_AND_LETTER = re.compile(r"^(.*\d)\s*([a-zA-Z])$")

_ABBREVIATIONS = {
    **{"mm": "millimeter", "cm": "centimeter", "m": "meter", "km": "kilometer", "metre": "meter"},
    **{"centimetre": "centimeter", "kilometre": "kilometer", "in": "inch", "inche": "inch", "ft": "foot"},
    **{"feet": "foot", "yd": "yard", "mi": "mile", "mph": "mile per hour", "g": "gram", "kg": "kilogram"},
    **{"lb": "pound", "oz": "ounce", "l": "liter", "ml": "milliliter", "litre": "liter", "s": "second"},
    **{"sec": "second", "min": "minute", "h": "hour", "hr": "hour", "deg": "degree", "usd": "dollar"},
}
_KNOWN = {*_ABBREVIATIONS.values(), "dollar", "cent", "euro", "pound", "degree", "day", "week", "month", "year"}
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_NO_UNIT = {
    *("and", "or", "plus", "minus", "times", "over", "divided", "by", "to", "of", "out", "base", "pi", "sqrt", "half"),
    *("halves", "third", "thirds", "quarter", "quarters", "dozen", "dozens", "factorial", "choose", "squared", "cubed"),
    *(
        "mod",
        "modulo",
        "not",
        "less",
        "more",
        "than",
        "point",
        "is",
        "are",
        "if",
        "when",
        "for",
        "all",
        "with",
        "radian",
    ),
    *("infinity", "radians", "sin", "cos", "tan", "cot", "log", "ln", "exp", "i", "e", "false", "wrong"),
}
"""Words behind a number that say more than what is counted."""


def split_unit(latex: str) -> tuple[str, str]:
    """(value, unit), the unit empty if there is none; a scale word such as `million` multiplies a whole number."""
    match = _VALUE_AND_UNIT.match(latex)
    if match is None:
        return latex, ""
    words = re.sub(r"\\text\s*\{|\}", "", match["unit"]).lower().replace(".", " ").replace("/", " per ").split()
    value = match["value"].strip()
    if words and words[0] in _SCALES and re.fullmatch(r"[-+]?\d+", value):
        value, words = value + "0" * _SCALES[words[0]], words[1:]
    if not value or not (_NO_UNIT | _SCALES.keys()).isdisjoint(words):
        return latex, ""
    power = "^" + match["power"].strip(" ^{}") if match["power"] else ""
    if words[:1] in (["sq"], ["square"], ["cubic"]):
        words, power = words[1:], "^3" if words[0] == "cubic" else "^2"
    return value, " ".join(_singular(word) for word in words) + power


def split_unit_letter(latex: str) -> tuple[str, str]:
    """(`5`, `meter`) of `5 m`; the unit is empty if the last letter abbreviates none.

    A letter behind a number may as well be a variable: only the value it is compared with can tell.
    """
    match = _VALUE_AND_LETTER.match(latex)
    unit = _ABBREVIATIONS.get(match[2].lower()) if match else None
    return (match[1], unit) if match and unit else (latex, "")


def is_known_unit(unit: str) -> bool:
    """Whether a unit, power aside, is one whose names this module knows; only two of those contradict each other."""
    return unit.partition("^")[0] in _KNOWN


def _singular(word: str) -> str:
    single = word.removesuffix("s") if len(word) > 2 else word
    return _ABBREVIATIONS.get(word) or _ABBREVIATIONS.get(single) or single
