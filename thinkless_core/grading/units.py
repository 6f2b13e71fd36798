"""Units behind a value: `15 \\text{ cm}^2`, `9 miles per hour`, `6.5 m/s`, `9 (apples)`, `5 million`.

LaTeX of a value -> (value, unit in the singular, abbreviations spelt out)
"""

from __future__ import annotations

import re
from decimal import Decimal

_POWER = r"\s*\^\s*(?:\{\s*-?\d\s*\}|-?\d)"
_TEXT = rf"\\text\s*\{{[^{{}}]*\}}(?:{_POWER})?"
_TEXTS = rf"{_TEXT}(?:\s*(?:/|\\cdot|\*|\\times)?\s*{_TEXT})*"
_WORDS = r"(?<=\d)\s*[a-zA-Z]{2,}\.?(?:[ /][a-zA-Z]+\.?){0,3}"
_VALUE_AND_UNIT = re.compile(rf"^(?P<value>.*[\d}})i])\s*(?P<unit>{_TEXTS}|{_WORDS})\.?(?P<power>{_POWER})?$")
_VALUE_AND_COUNTED = re.compile(
    r"^(?P<value>[-+]?[\d.,/ ]*\d|.*\})\s*"
    rf"\((?P<unit>\\text\s*\{{[^{{}}]*\}}(?:{_POWER})?|[^\W\d][^(){{}}\\]*(?:{_POWER})?)\)$"
)
_SYMBOL = r"(?:[a-zA-Z]{1,3}|\\Omega|\\mu\s*[a-zA-Z]{1,2})"
_VALUE_AND_SYMBOLS = re.compile(
    rf"^(?P<value>.*\d)\s+(?P<unit>{_SYMBOL}(?:{_POWER})?(?:\s*(?:/|\\cdot|\*| )\s*{_SYMBOL}(?:{_POWER})?)*)$"
)
_VALUE_AND_LETTER = re.compile(rf"^(?P<value>.*\d)\s*(?P<letter>[a-zA-Z])(?P<power>{_POWER})?$")
_POWER_OF_WORD = re.compile(r"(.+?)(?:\^(-?\d))?$")
_CLOCK = re.compile(
    r"^(?P<value>\d{1,2}(?::\d\d)?)\s*(?:\\text\s*\{)?\s*(?P<half>[ap])\.?\s?m\.?\s*\}?$", re.IGNORECASE
)

_ABBREVIATIONS = {
    **{"mm": "millimeter", "cm": "centimeter", "m": "meter", "km": "kilometer", "metre": "meter"},
    **{"centimetre": "centimeter", "kilometre": "kilometer", "in": "inch", "inche": "inch", "ft": "foot"},
    **{"feet": "foot", "yd": "yard", "mi": "mile", "mph": "mile per hour", "g": "gram", "kg": "kilogram"},
    **{
        "mg": "milligram",
        "lb": "pound",
        "oz": "ounce",
        "l": "liter",
        "ml": "milliliter",
        "litre": "liter",
        "s": "second",
    },
    **{
        "ms": "millisecond",
        "sec": "second",
        "min": "minute",
        "h": "hour",
        "hr": "hour",
        "deg": "degree",
        "usd": "dollar",
    },
    **{
        "n": "newton",
        "j": "joule",
        "kj": "kilojoule",
        "w": "watt",
        "kw": "kilowatt",
        "v": "volt",
        "hz": "hertz",
        "pa": "pascal",
    },
    **{"mol": "mole", "k": "kelvin", "c": "coulomb", "kpa": "kilopascal", "atm": "atmosphere", "ev": "electronvolt"},
}
_KNOWN = {
    *(word for name in _ABBREVIATIONS.values() for word in name.split(" per ")),
    *("am", "pm", "dollar", "cent", "euro", "pound", "degree", "day", "week", "month", "year"),
}
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_NO_UNIT = {
    *("and", "or", "plus", "minus", "times", "over", "divided", "by", "to", "of", "out", "base", "pi", "sqrt", "half"),
    *("halves", "third", "thirds", "quarter", "quarters", "dozen", "dozens", "factorial", "choose", "squared", "cubed"),
    *("mod", "modulo", "not", "less", "more", "than", "point", "is", "are", "if", "when", "for", "all", "with"),
    *("radian", "radians", "infinity", "sin", "cos", "tan", "cot", "log", "ln", "exp", "i", "e", "false", "wrong"),
}
"""Words behind a number that say more than what is counted."""


def split_unit(latex: str) -> tuple[str, str]:
    """(value, unit), the unit empty if there is none; a scale word such as `million` multiplies a number."""
    if counted := _VALUE_AND_COUNTED.match(latex):  # in brackets nothing but a unit stands behind a number
        return counted["value"].strip(), _unit_name(counted["unit"])
    if clock := _CLOCK.match(latex):
        return clock["value"], clock["half"].lower() + "m"
    match = _VALUE_AND_UNIT.match(latex)
    if match is None:
        return _split_symbols(latex)
    words = re.sub(r"\\text\s*\{|[{}]", " ", match["unit"]).lower().replace(".", " ").replace("/", " per ").split()
    value = match["value"].strip()
    if words and words[0] in _SCALES and re.fullmatch(r"[-+]?\d+(?:\.\d+)?", value):
        return f"{Decimal(value).scaleb(_SCALES[words[0]]):f}", _unit_name(" ".join(words[1:]))
    if not value or not (_NO_UNIT | _SCALES.keys()).isdisjoint(words):
        return latex, ""
    return value, _unit_name(match["unit"] + (match["power"] or ""))


def split_unit_letter(latex: str) -> tuple[str, str]:
    """(`5`, `meter`) of `5 m`; the unit is empty if the last letter abbreviates none.

    A letter behind a number may as well be a variable: only the value it is compared with can tell.
    """
    match = _VALUE_AND_LETTER.match(latex)
    if match is None or match["letter"].lower() not in _ABBREVIATIONS:
        return latex, ""
    return match["value"], _unit_name(match["letter"] + (match["power"] or ""))


def is_known_unit(unit: str) -> bool:
    """Whether a unit, powers aside, is one whose names this module knows; only two of those contradict each other."""
    return unit != "" and all(word.partition("^")[0] in _KNOWN for word in unit.split())


def _split_symbols(latex: str) -> tuple[str, str]:
    """Symbols of units joined by a slash or dot, `6.5 m/s`; a single letter is not split here."""
    match = _VALUE_AND_SYMBOLS.match(latex)
    if match is None or re.fullmatch("[a-zA-Z]", match["unit"]):
        return latex, ""
    name = _unit_name(match["unit"])
    return (match["value"], name) if is_known_unit(name) else (latex, "")


def _unit_name(written: str) -> str:
    """`\\text{m}/\\text{s}^2` as `meter second^-2`, in alphabetical order; unknown words singular, lower case."""
    plain = re.sub(r"\\text\s*\{([^{}]*)\}", r" \1 ", written)
    plain = re.sub(r"\s*\^\s*\{?\s*(-?\d)\s*\}?", r"^\1", plain).replace("/", " per ")
    words = re.sub(r"\\cdot|\\times|[*.,~]", " ", plain).lower().split()
    if words[:1] in (["sq"], ["square"], ["cubic"]):
        words = [*words[1:-1], words[-1] + ("^3" if words[0] == "cubic" else "^2")]
    factors, sign = [], 1
    for word in " ".join(_singular(word) for word in words).split():
        name, power = _POWER_OF_WORD.match(word).groups()  # type: ignore[union-attr]  # it matches every word
        exponent = sign * int(power or 1)
        if name == "per":
            sign = -1
        else:
            factors.append(name if exponent == 1 else f"{name}^{exponent}")
    return " ".join(sorted(factors))


def _singular(word: str) -> str:
    name, hat, power = word.partition("^")
    single = name.removesuffix("s") if len(name) > 2 else name
    return (_ABBREVIATIONS.get(name) or _ABBREVIATIONS.get(single) or single) + hat + power
