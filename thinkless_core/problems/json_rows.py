"""Rows of a JSON file, in whichever of its shapes: an object per line, a list of objects, an object with one list.

file -> UTF-8, with or without a byte order mark -> (place, fields), a line at a time if it holds lines

The shape is seen in the content: JSON lines in a file called .json are read, and a list in one called .jsonl.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import JsonValue

from schemas.errors import SourceError
from thinkless_core.problems.row_reader import Row

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINES = "one object per line"
_WRAPPED = re.compile(r'\{\s*"(?:data|examples|instances|items|problems|questions|records|rows|test|train)"\s*:\s*\[')
"""How the only object of a .jsonl file begins if it holds the rows."""


def line_rows(path: Path) -> Iterator[Row]:
    """Rows of a file of lines; a file that holds one JSON text instead is read as such."""
    with path.open("rb") as file:
        first = True
        for number, line in enumerate(file, start=1):
            where = f"{path}, line {number}"
            text = _decoded(line, where).strip()
            if first and text:
                first = False
                if text.startswith("[") or not _is_json(text) or (_wraps_rows(text) and _is_alone(path, line)):
                    yield from _rows_of_text(path, expected=_LINES)
                    return
            if text:
                yield where, _row_of_line(text, where)


def document_rows(path: Path) -> Iterator[Row]:
    """Rows of a file that holds one JSON text; a file of lines is read as such."""
    yield from _rows_of_text(path, expected="a list of objects")


def _rows_of_text(path: Path, *, expected: str) -> Iterator[Row]:
    """Rows of a whole text: of its list, or of its lines if each is an object of its own."""
    text = _decoded(path.read_bytes(), str(path)).strip("\ufeff").rstrip()
    lines = [(n, line) for n, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1)]
    full = [(number, line) for number, line in lines if line.strip()]
    if not full:
        return
    number, first = full[0]
    try:
        document = _loads(text)
    except (ValueError, RecursionError) as error:
        if len(full) > 1 and _is_json(first) and first.lstrip().startswith("{"):
            for number, line in full:
                yield f"{path}, line {number}", _row_of_line(line, f"{path}, line {number}")
            return
        if expected == _LINES and first.strip() not in ("[", "{", "[{"):
            _row_of_line(first, f"{path}, line {number}")  # raises what is wrong with it
        place = f"{path}, line {error.lineno}" if isinstance(error, json.JSONDecodeError) else str(path)
        raise _not_json(error, place, expected=expected) from error
    yield from _rows_of_document(document, path)


def _rows_of_document(document: JsonValue, path: Path) -> Iterator[Row]:
    name = ""
    if isinstance(document, dict):
        lists = {key: held for key, held in document.items() if isinstance(held, list) and _are_objects(held)}
        if len(lists) > 1:
            raise SourceError(
                f"{path}: holds {len(lists)} lists of objects ({', '.join(map(repr, lists))}), expected one; "
                "write the one to be read to a file of its own"
            )
        for key, held in lists.items():
            name, document = f" of {key!r}", held
    if not isinstance(document, list):
        raise SourceError(
            f"{path}: holds a {type(document).__name__}, expected a list of objects, [{{...}}, {{...}}], or one object "
            f"per line{_shape_hint(document)}"
        )
    for number, row in enumerate(document, start=1):
        where = f"{path}, item {number}{name}"
        yield where, _as_object(row, where)


def _are_objects(held: list[JsonValue]) -> bool:
    return bool(held) and all(isinstance(item, dict) for item in held)


def _shape_hint(document: JsonValue) -> str:
    """The way out if the columns stand where the rows should."""
    if isinstance(document, dict) and document and all(isinstance(held, list | dict) for held in document.values()):
        return "; it seems to hold columns: write its rows (pandas: to_json(..., orient='records'))"
    return ""


def _wraps_rows(text: str) -> bool:
    """Whether a text is `{"data": [{...}, {...}]}`."""
    row = _loads(text) if _WRAPPED.match(text) else None
    return (
        isinstance(row, dict) and len(row) == 1 and any(isinstance(v, list) and _are_objects(v) for v in row.values())
    )


def _is_alone(path: Path, line: bytes) -> bool:
    """Whether nothing but white space stands around the line."""
    return path.stat().st_size < 2 * len(line) + 1000 and path.read_bytes().strip() == line.strip()


def _is_json(text: str) -> bool:
    try:
        _loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _loads(text: str) -> JsonValue:
    """The value of a JSON text; raises ValueError (also for two values under one name in an object), RecursionError."""
    value: JsonValue = _DECODER.decode(text)
    return value


def _as_dict(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    made = dict(pairs)
    if len(made) < len(pairs):
        for name, value in pairs:
            if value != made[name]:
                raise ValueError(f"{name!r} stands there twice, with {value!r:.40} and {made[name]!r:.40}")
    return made


_DECODER = json.JSONDecoder(object_pairs_hook=_as_dict)


def _row_of_line(text: str, where: str) -> Mapping[str, JsonValue]:
    try:
        row = _loads(text)
    except (ValueError, RecursionError) as error:
        raise _not_json(error, where, expected=_LINES) from error
    return _as_object(row, where)


def _not_json(error: Exception, where: str, *, expected: str) -> SourceError:
    if isinstance(error, json.JSONDecodeError):
        hint = "; a backslash is written twice in JSON (\\\\frac)" if "escape" in error.msg else ""
        said = f"not JSON: {error.msg.removesuffix(' at')} at character {error.colno}"
        return SourceError(f"{where}: {said}; expected {expected}{hint}")
    said = "its lists are nested too deep" if isinstance(error, RecursionError) else str(error).partition(";")[0]
    return SourceError(f"{where}: cannot be read: {said}; expected {expected}")


def _as_object(row: JsonValue, where: str) -> Mapping[str, JsonValue]:
    if not isinstance(row, dict):
        raise SourceError(f"{where}: holds {row!r:.60}, expected an object with named columns")
    return row


def _decoded(content: bytes, where: str) -> str:
    """The text of a line or a file, without byte order mark."""
    try:
        return content.removeprefix(BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        place = where if ", line " in where else f"{where}, line {line}"
        raise SourceError(
            f"{place}: cannot be read: byte 0x{content[error.start]:02x} is no UTF-8 text; save the file as UTF-8 "
            "(such as: iconv -f WINDOWS-1252 -t UTF-8)"
        ) from error
