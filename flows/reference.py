"""The reference of configuration and tables, written from the schemas: `python -m flows.reference > docs/reference.md`.

configuration classes -> dotted keys;  kinds -> their keys;  record classes -> columns;  files of views -> what a row is
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from infra.catalog.catalog_tables import index_tables, views
from schemas.base import Record, arrow_schema
from schemas.configs.objective import ObjectiveConfig
from schemas.configs.pipeline import PipelineConfig
from schemas.configs.reward import RewardConfig
from schemas.configs.source import SourceConfig
from schemas.configs.teacher import TeacherConfig
from schemas.kinds import Kind, shipped_kinds
from schemas.tables import TABLES

KINDS: tuple[tuple[str, type[Kind]], ...] = (
    ("Problem sources: `problems.source`, `problems.rl_source`, `problems.benchmarks.NAME`", SourceConfig),
    ("Teachers: `teach.think.teacher`, `teach.short.teacher`", TeacherConfig),
    ("Objectives: `rl.objective`", ObjectiveConfig),
    ("Rewards: `rl.reward`", RewardConfig),
)

HEAD = """# Reference

Written from the schemas by `python -m flows.reference > docs/reference.md`; a test compares. Every key can be set in a
profile (a TOML file; `schemas/profiles/` has those that ship) or with `--set KEY=VALUE`. *needed*: it has no default.
`thinkless sql "describe TABLE"` has the columns with their SQL types."""


def reference() -> str:
    """The whole page."""
    blocks = [HEAD, "## Configuration", *_stages()]
    for title, base in KINDS:
        blocks.append(f"### {title}")
        blocks += [_kind(kind) for kind in shipped_kinds(base)]
    blocks.append("## Tables")
    blocks += [_table(name, record) for name, record in sorted(TABLES.items())]
    blocks.append("### Of the catalog itself")
    blocks += [
        f"**`{name}`**: {', '.join(f'`{column}`' for column in columns)}" for name, columns in index_tables().items()
    ]
    blocks.append("## Views")
    blocks += [f"**`{name}`**: {_first_comment(query)}" for name, query in views().items()]
    return "\n\n".join(blocks) + "\n"


def _stages() -> Iterator[str]:
    """One table of keys for the pipeline's own values, and one for each stage."""
    own: list[tuple[str, FieldInfo]] = []
    stages: list[tuple[str, FieldInfo]] = []
    for name, field in PipelineConfig.model_fields.items():
        (stages if _tables_of(field) and not _is_mapping(field) else own).append((name, field))
    yield _keys([_row(name, field) for name, field in own])
    for name, field in stages:
        (config,) = _tables_of(field)
        yield f"### `{name}`: {_sentence(config.__doc__)}"
        yield _keys(list(_rows(config, f"{name}.")))


def _kind(kind: type[Kind]) -> str:
    name = kind.model_fields[kind.tag].default
    heading = f"**`{name}`**: {_sentence(kind.__doc__)}"
    rows = [_row(key, field) for key, field in kind.model_fields.items() if key != kind.tag]
    return f"{heading}\n\n{_keys(rows)}" if rows else heading


def _rows(config: type[BaseModel], prefix: str) -> Iterator[str]:
    """Keys of a table and of the tables below it; of a choice between tables, those of each."""
    for name, field in config.model_fields.items():
        inner = [table for table in _tables_of(field) if not issubclass(table, Kind)]
        schedules = name != "kind" and any("schedule" in table.__module__ for table in inner)
        if _is_mapping(field) or not inner or schedules:
            yield _row(f"{prefix}{name}", field)
            continue
        if field.description:
            yield _row(f"{prefix}{name}", field)
        for table in inner:
            yield from _rows(table, f"{prefix}{name}.")


def _keys(rows: list[str]) -> str:
    return "\n".join(["| key | value | default | meaning |", "|---|---|---|---|", *dict.fromkeys(rows)])


def _row(name: str, field: FieldInfo) -> str:
    return f"| `{name}` | {_type(field.annotation)} | {_default(field)} | {_text(field.description)} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*needed*"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or isinstance(value, BaseModel):
        return "as below" if _tables_of(field) else ""
    return f"`{value}`" if value not in (None, "", (), {}) else "none"


def _type(annotation: object) -> str:
    """The values of a field in words: `number`, `a, b or c`, `table`."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _type(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        parts = [_type(part) for part in typing.get_args(annotation) if part is not type(None)]
        return " or ".join(dict.fromkeys(parts))
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in typing.get_args(annotation))
    if origin in (tuple, list):
        return f"list of {_type(typing.get_args(annotation)[0])}"
    if origin is dict:
        return "table"
    if isinstance(annotation, type):
        if issubclass(annotation, BaseModel):
            return "schedule" if "schedule" in annotation.__module__ else "table"
        return {bool: "true or false", int: "whole number", float: "number", str: "text"}.get(annotation, "text")
    return "text"


def _tables_of(field: FieldInfo) -> list[type[BaseModel]]:
    """Configuration classes that a field may hold."""

    def found(annotation: object) -> Iterator[type[BaseModel]]:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
        for part in typing.get_args(annotation):
            yield from found(part)

    return list(dict.fromkeys(found(field.annotation)))


def _is_mapping(field: FieldInfo) -> bool:
    return typing.get_origin(field.annotation) is dict


def _table(name: str, record: type[Record]) -> str:
    types_ = arrow_schema(record)
    rows = [
        f"| `{column}` | {types_.field(column).type} | {_text(field.description)} |"
        for column, field in record.model_fields.items()
    ]
    if record.HAS_RUN_ID:
        rows.append(
            "| `run_id` | string | The run that built the artifact; view `run_eval_summary` has those that used it. |"
        )
    rows.append("| `artifact_key` | string | Key of the artifact that holds the row. |")
    head = f"### `{name}`\n\n{_text(record.__doc__)}"
    return "\n".join([head, "", "| column | type | meaning |", "|---|---|---|", *rows])


def _first_comment(query: str) -> str:
    """The comment that a view's file begins with."""
    lines = []
    for line in query.splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return " ".join(lines)


def _sentence(docstring: str | None) -> str:
    """The first sentence of a docstring, without its full stop."""
    return _text((docstring or "").strip().partition("\n\n")[0]).removesuffix(".")


def _text(text: str | None) -> str:
    """On one line, as a cell of a table."""
    return " ".join((text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    print(reference(), end="")
