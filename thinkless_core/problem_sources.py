"""Where problems come from: a program, or a local file.

source configuration -> SourceProblems (text, answer, difficulty, origin), in a fixed order
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import JsonValue

from schemas.configs.problems import LocalSource, ProceduralSource
from schemas.errors import SourceError, nearest
from thinkless_core.procedural import draw_distinct_chains, work_out
from thinkless_core.seeding import random_stream


@dataclass(frozen=True)
class SourceProblem:
    """A problem as its source gives it, before it has an identity and a split."""

    prompt: str
    answer: str
    difficulty: int | None
    source: str


def read_source(
    source: ProceduralSource | LocalSource, *, name: str, seed: int, taken: frozenset[str] = frozenset()
) -> list[SourceProblem]:
    """All problems of a source; raises SourceError where a file cannot be used.

    `name` and `seed` name the random stream of a procedural source, which avoids the texts in `taken`.
    """
    if isinstance(source, ProceduralSource):
        chains = draw_distinct_chains(
            random_stream("problems", seed, name),
            num_problems=source.num_problems,
            mix=source.mix,
            taken=taken,
        )
        return [SourceProblem(t, _worked_answer(t), difficulty, "procedural") for t, difficulty in chains]
    problems = [_problem_of_row(row, where=where, source=source) for where, row in _limited(source)]
    if not problems:
        raise SourceError(f"{source.path}: the file is empty, expected one problem per row; check the path")
    return problems


def _worked_answer(text: str) -> str:
    working = work_out(text)
    assert working is not None, text
    return working.answer


def _limited(source: LocalSource) -> Iterator[tuple[str, Mapping[str, JsonValue]]]:
    return islice(_rows(Path(source.path)), source.limit)


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, JsonValue]]]:
    """(where, row) of every row of a .jsonl, .json or .parquet file."""
    try:
        if path.suffix == ".parquet":
            for number, row in enumerate(pq.read_table(path).to_pylist(), start=1):
                yield f"{path}, row {number}", row
        elif path.suffix == ".json":
            yield from _json_rows(path)
        elif path.suffix == ".jsonl":
            yield from _jsonl_rows(path)
        else:
            raise SourceError(
                f"{path}: cannot read files ending in {path.suffix!r}; expected .jsonl, .json or .parquet"
            )
    except FileNotFoundError as error:
        raise SourceError(f"{path}: no such file; check problems.*.path (relative to the current directory)") from error
    except (OSError, UnicodeDecodeError, pa.ArrowInvalid) as error:
        raise SourceError(f"{path}: cannot be read: {error}; expected text or Parquet as its ending says") from error


def _jsonl_rows(path: Path) -> Iterator[tuple[str, Mapping[str, JsonValue]]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise SourceError(f"{where}: not JSON: {error}; expected one object per line") from error
            yield where, _as_object(row, where)


def _json_rows(path: Path) -> Iterator[tuple[str, Mapping[str, JsonValue]]]:
    text = path.read_text(encoding="utf-8")
    if not text.strip():
        return
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise SourceError(f"{path}, line {error.lineno}: not JSON: {error.msg}; expected a list of objects") from error
    if not isinstance(rows, list):
        raise SourceError(f"{path}: holds a {type(rows).__name__}, expected a list of objects")
    for number, row in enumerate(rows, start=1):
        yield f"{path}, item {number}", _as_object(row, f"{path}, item {number}")


def _as_object(row: JsonValue, where: str) -> Mapping[str, JsonValue]:
    if not isinstance(row, dict):
        raise SourceError(f"{where}: holds {row!r:.60}, expected an object with named columns")
    return row


def _problem_of_row(row: Mapping[str, JsonValue], *, where: str, source: LocalSource) -> SourceProblem:
    prompt = _text(row, source.prompt_field, where=where, key="prompt_field")
    answer = _text(row, source.answer_field, where=where, key="answer_field")
    # GSM8K writes its value after a mark at the end of the worked solution.
    answer = answer.rpartition("####")[2].strip()
    if not answer:
        raise SourceError(f"{where}: the problem has an empty answer; every problem needs a value to check against")
    difficulty = None
    if source.difficulty_field is not None:
        value = _column(row, source.difficulty_field, where=where, key="difficulty_field")
        if isinstance(value, bool) or not isinstance(value, int | float) or value % 1:
            raise SourceError(f"{where}: difficulty {value!r} is no whole number; leave difficulty_field out")
        difficulty = int(value)
    return SourceProblem(prompt, answer, difficulty, where)


def _text(row: Mapping[str, JsonValue], column: str, *, where: str, key: str) -> str:
    value = _column(row, column, where=where, key=key)
    if isinstance(value, bool | list | dict) or (isinstance(value, float) and math.isnan(value)):
        raise SourceError(f"{where}: column {column!r} holds {value!r:.60}, expected text or a number; set {key}")
    text = "" if value is None else str(value).strip()
    if not text:
        kind = "answer" if key == "answer_field" else "prompt"
        raise SourceError(
            f"{where}: the problem has no {kind} (column {column!r} is {value!r}); fill it or drop the row"
        )
    return text


def _column(row: Mapping[str, JsonValue], column: str, *, where: str, key: str) -> JsonValue:
    if column not in row:
        raise SourceError(
            f"{where}: no column {column!r}; {nearest(column, row) if row else 'the row is empty'}. "
            f"The columns are {', '.join(sorted(row))}; set {key} to one of them"
        )
    return row[column]
