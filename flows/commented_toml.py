"""A profile as TOML in which every key has a comment: the first sentence of its docstring.

nested table -> PipelineConfig, which knows the class of every table -> text
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from flows.toml_text import toml_text
from schemas.configs.pipeline import PipelineConfig
from schemas.configs.stage import Table, tables_in
from schemas.errors import ConfigError

Value = str | int | float | bool | list[str] | list[float]
Nested = Mapping[str, "Value | Nested"]


def commented_toml(table: Nested, *, profile: str) -> str:
    """The text of a profile; raises ConfigError for values that no profile may have."""
    try:
        config = PipelineConfig.model_validate({**table, "profile": profile})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"{where}: {first['msg'].removeprefix('Value error, ')}, got {first['input']!r}; give another answer"
        ) from error
    classes = {dotted: type(one) for dotted, one in tables_in(config)}
    return "\n".join(_lines(table, "", classes)).strip() + "\n"


def _lines(table: Nested, dotted: str, classes: Mapping[str, type[Table]]) -> Iterator[str]:
    """Plain keys of a table, then the tables below it."""
    plain = {name: value for name, value in table.items() if not isinstance(value, Mapping)}
    if dotted and (plain or not table):
        yield from ("", f"[{dotted}]")
    for name, value in plain.items():
        yield f"# {_meaning(classes[dotted], name)}"
        yield f"{name} = {toml_text(value)}"
    for name, inner in table.items():
        if isinstance(inner, Mapping):
            yield from _lines(inner, f"{dotted}.{name}" if dotted else name, classes)


def _meaning(table: type[Table], name: str) -> str:
    """The first sentence about a key; about the choice of a kind, that of the class chosen."""
    text = " ".join((table.model_fields[name].description or table.__doc__ or "").split())
    end = text.find(". ")
    return text if end < 0 else text[: end + 1]
