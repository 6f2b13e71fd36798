"""What is wrong in a configuration, in words: which key, what was got, what was expected, the way out.

ValidationError + table as written -> one line for each error
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from pydantic import JsonValue, ValidationError
from pydantic_core import ErrorDetails

from schemas.errors import nearest


def explained(
    error: ValidationError, profile: str, table: Mapping[str, JsonValue], *, known: Mapping[str, str | None]
) -> str:
    """A line for each thing that is wrong in the table of a profile; `known`: key -> what it means."""
    lines = [_explain_one(detail, table, known) for detail in error.errors()]
    return f"configuration of profile {profile!r} cannot be used:\n" + "\n".join(f"  - {line}" for line in lines)


def _explain_one(detail: ErrorDetails, table: Mapping[str, JsonValue], known: Mapping[str, str | None]) -> str:
    """One line: which key, what is wrong, what was got, the way out."""
    location, kind = _as_written(detail, table)
    dotted, got = ".".join(location), detail["input"]
    if detail["type"] == "extra_forbidden" and dotted in known:
        return (
            f"key {dotted!r} does not belong to {kind.tag if kind.tag == 'kind' else location[-2]} {kind.name!r} "
            f"(got value {got!r}); set the table's {kind.tag} as well"
        )
    if detail["type"] == "extra_forbidden":
        return f"unknown key {dotted!r} (got value {got!r}); {nearest(dotted, _keys_near(location, known))}"
    if detail["type"] == "missing":
        return f"{dotted}: missing; set it in the profile or with --set {dotted}=..."
    shown = "" if isinstance(got, Mapping) else f", got {got!r}"
    meaning = known.get(dotted)
    way_out = _taken_for_text(dotted, got) + (f" ({' '.join(meaning.split())})" if meaning else "")
    if detail["type"] == "union_tag_invalid":
        chosen, choices = detail["ctx"]["tag"], detail["ctx"]["expected_tags"].replace("'", "").split(", ")
        return f"{dotted}: unknown kind {chosen!r}; {nearest(chosen, choices)}{way_out}"
    return f"{dotted}: {detail['msg'].removeprefix('Value error, ')}{shown}{way_out}"


def _taken_for_text(key: str, value: object) -> str:
    """The way out for a table or list that is not TOML: an override then is text, which may choose a kind."""
    if isinstance(value, Mapping):
        value = value.get("kind", value.get("name"))
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return ""
    like = '["one", "two"]' if value[0] == "[" else '{text="one", number=2}'
    return f"; lists and tables are written as in TOML, texts in them in quotes, as in --set '{key}={like}'"


class _Choice(NamedTuple):
    """What was chosen in the table that an error is in."""

    tag: str
    name: object


def _as_written(detail: ErrorDetails, table: Mapping[str, JsonValue]) -> tuple[list[str], _Choice]:
    """The error's key as the user wrote it, and the kind of the table that holds it.

    A discriminated union adds the value of `kind` to the location.
    """
    written: list[str] = []
    node: object = table
    kind = _Choice("kind", None)
    parts = list(detail["loc"])
    # Only of a missing or unknown key is the last part surely a key.
    num_keys = len(parts) - 1 if detail["type"] in ("extra_forbidden", "missing") else len(parts)
    for depth, part in enumerate(parts):
        here = node if isinstance(node, Mapping) else {}
        kind = _Choice("kind", here["kind"]) if "kind" in here else _Choice("name", here.get("name", "default"))
        if depth < num_keys and part not in here and part == kind.name:
            continue
        written.append(str(part))
        node = here.get(part)
    return written, kind


def _keys_near(location: Sequence[str], known: Mapping[str, str | None]) -> Iterator[str]:
    """Known keys; inside a benchmark, whose name is the user's own, those of a source under that name."""
    if location[:2] != ["problems", "benchmarks"]:
        yield from known
        return
    for key in known:
        if key.startswith("problems.source."):
            yield key.replace("source", f"benchmarks.{location[2]}", 1)
