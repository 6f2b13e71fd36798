"""How a card is written: YAML front matter, Markdown tables and code blocks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pydantic import JsonValue


def document(front: Mapping[str, JsonValue], body: Sequence[str]) -> str:
    """A whole card: front matter, then the parts of the body."""
    return f"---\n{yaml_block(dict(front))}\n---\n\n" + "\n\n".join(body) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, or a word where it has no rows."""
    if not rows:
        return "None."
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(text) for text in line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Text that stays within its cell."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def fenced(language: str, text: str) -> str:
    """A code block whose fence is longer than any run of backticks in it."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"


def yaml_block(value: JsonValue, indent: int = 0) -> str:
    """JSON-like data as block YAML; strings that could be read as something else are quoted as in JSON."""
    pad = "  " * indent
    if isinstance(value, dict) and value:
        lines = [f"{pad}{_scalar(key)}:{_nested(item, indent)}" for key, item in value.items()]
        return "\n".join(lines)
    if isinstance(value, list) and value:
        lines = []
        for item in value:
            block = (
                yaml_block(item, indent + 1) if isinstance(item, (dict, list)) else "  " * (indent + 1) + _scalar(item)
            )
            lines.append(f"{pad}- {block.removeprefix('  ' * (indent + 1))}")
        return "\n".join(lines)
    return pad + _scalar(value)


def _nested(value: JsonValue, indent: int) -> str:
    if isinstance(value, (dict, list)) and value:
        return "\n" + yaml_block(value, indent + 1)
    return f" {_scalar(value)}"


def _scalar(value: JsonValue) -> str:
    """A plain word as it is, everything else as JSON, which is YAML."""
    plain = isinstance(value, str) and value.replace("-", "").replace("_", "").isalpha() and value.isascii()
    reserved = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
    if plain and str(value).lower() not in reserved and not str(value).startswith("-"):
        return str(value)
    return json.dumps(value, ensure_ascii=False)
