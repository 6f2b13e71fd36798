"""The text in a field of a row, or the one reason why there is none.

row, path -> text | Fault: an absent key, null, NaN, empty text, a bool, bytes, a list, a damaged text
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from pydantic import JsonValue

from schemas.broken_escapes import printable, unusable_character
from thinkless_core.problems.answer_fields import find_field

MISSING_WORDS = frozenset({"nan", "NaN", "<NA>", "null", "NULL", "None"})
"""How programs write that there is no value; as the whole text of a field it is none."""


class Fault(NamedTuple):
    """Why a field gives no text."""

    reason: str
    of_setting: bool
    """Whether the setting that names the field may be wrong: the row has no such field, or it holds no text."""


def field_text(row: Mapping[str, JsonValue], path: str, *, key: str, kind: str) -> str | Fault:
    """The text at `path` as it stands there, a number as text; `key` is the setting that names the field.

    `kind` is what the text is for (`answer`, `prompt`), for the reason.
    """
    value, absent = find_field(row, path)
    if absent:
        return Fault(printable(absent), of_setting=True)
    if value is None:
        return Fault(f"the problem has no {kind} (column {path!r} is {value!r})", of_setting=False)
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal) or not _is_finite(value):
        part = _first_part(value)
        way_out = f"set {key}" + (f" to a part of it, such as {path}.{part}" if part else "")
        held = f"column {path!r} holds {value!r:.60}, expected text or a number"
        return Fault(
            printable(f"{held}; {way_out}, or drop the row"), of_setting=not isinstance(value, float | Decimal)
        )
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    damage = unusable_character(text)
    if damage is not None:
        return Fault(f"the {kind} holds {damage}; mend column {path!r}, or drop the row", of_setting=False)
    if not is_visible(text) or text.strip() in MISSING_WORDS:
        return Fault(f"the problem has no {kind} (column {path!r} is {value!r:.60})", of_setting=False)
    return text


def is_visible(text: str) -> bool:
    """Whether a text has a character that is neither white space (of any script) nor invisible."""
    return any(unicodedata.category(character)[0] not in "ZC" for character in text)


def _is_finite(value: object) -> bool:
    return not isinstance(value, float | Decimal) or math.isfinite(value)


def _first_part(value: object) -> str | None:
    """Path to the first value inside a list or an object."""
    if isinstance(value, list) and value:
        return "0"
    return next(iter(value), None) if isinstance(value, dict) else None
