"""The queries in infra/catalog/sql, by name."""

from __future__ import annotations

from importlib import resources


def sql_text(name: str) -> str:
    """The text of one query."""
    return resources.files("infra").joinpath("catalog", "sql", f"{name}.sql").read_text(encoding="utf-8")
