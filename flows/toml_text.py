"""A Python value as TOML: of an override written in Python, of a profile written for the user."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from schemas.errors import ConfigError


def toml_text(value: object) -> str:
    """`{"kind": "gym"}` as `{kind = "gym"}`; raises ConfigError for what TOML has no word for."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {toml_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(toml_text, value)) + "]"
    if isinstance(value, bool | int | float):
        return json.dumps(value).lower().replace("infinity", "inf")
    raise ConfigError(
        f"override {value!r} is a {type(value).__name__}, expected text, a number, true or false, a list or a dict; "
        "leave the key out for its default"
    )
