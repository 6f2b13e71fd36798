"""Where problems come from: a program, a local file, or a data set on the Hugging Face Hub.

source configuration -> rows -> the asked subject -> SourceProblems (text, answer, difficulty, origin), in a fixed order
                             -> rows without a readable answer: listed, and an error where they are too many
                             -> reasoning traces or worked solutions, for a recorded teacher
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pydantic import JsonValue

from schemas.configs.problems import HubSource, LocalSource, PresetSource, ProceduralSource, RowSource, Source
from schemas.errors import SourceError, nearest
from schemas.records.unreadable_answers import UnreadableAnswer
from thinkless_core.problems.answer_fields import (
    answer_value,
    field_value,
    subject_name,
    trace_completion,
)
from thinkless_core.problems.hub_datasets import hub_rows
from thinkless_core.problems.presets import resolve_preset
from thinkless_core.problems.procedural import draw_distinct_chains, work_out
from thinkless_core.problems.source_files import Row, file_rows
from thinkless_core.seeding import random_stream

NUM_LISTED = 3
"""Unreadable answers that an error names."""


@dataclass(frozen=True)
class SourceProblem:
    """A problem as its source gives it, before it has an identity and a split."""

    prompt: str
    answer: str
    difficulty: int | None
    source: str


@dataclass(frozen=True)
class SourceRead:
    """All problems of a source, and the rows that were dropped because their answer cannot be extracted."""

    problems: tuple[SourceProblem, ...]
    unreadable: tuple[UnreadableAnswer, ...] = ()


def read_source(source: Source, *, name: str, seed: int, taken: frozenset[str] = frozenset()) -> SourceRead:
    """All problems of a source; raises SourceError where it cannot be used or too many answers cannot be extracted.

    `name` and `seed` name the random stream of a procedural source, which avoids the texts in `taken`.
    """
    if isinstance(source, ProceduralSource):
        chains = draw_distinct_chains(
            random_stream("problems", seed, name),
            num_problems=source.num_problems,
            mix=source.mix,
            taken=taken,
        )
        return SourceRead(tuple(SourceProblem(t, _worked_answer(t), d, "procedural") for t, d in chains))
    rows_of = _rows_source(source)
    problems: list[SourceProblem] = []
    unreadable: list[UnreadableAnswer] = []
    for where, row in _chosen_rows(rows_of, fields=rows_of.problem_fields()):
        problem = _problem_of_row(row, where=where, source=rows_of)
        if isinstance(problem, UnreadableAnswer):
            unreadable.append(problem)
        else:
            problems.append(problem)
    _refuse_too_many(unreadable, num_rows=len(problems) + len(unreadable), source=rows_of)
    return SourceRead(tuple(problems), tuple(unreadable))


def read_traces(
    source: LocalSource | HubSource | PresetSource, *, field: str | None = None
) -> Iterator[tuple[str, str | None]]:
    """(problem text, think completion without its control token) of every row, for a recorded teacher.

    `field` takes the place of the source's `trace_field`. None stands for a row without a usable trace: none of its
    traces is correct, or its thinking never ends. Raises SourceError where neither names a field or a row has none.
    """
    rows_of = _rows_source(source)
    if field is not None:
        rows_of = rows_of.model_copy(update={"trace_field": field})
    if rows_of.trace_field is None:
        raise SourceError(f"{_place(rows_of)} names no trace_field; set it to the field with the recorded reasoning")
    for where, row in _chosen_rows(rows_of, fields=rows_of.trace_fields()):
        trace = _trace(row, where=where, source=rows_of)
        yield _text(row, rows_of.prompt_field, where=where, key="prompt_field"), trace and trace_completion(trace)


def read_solutions(source: LocalSource | HubSource | PresetSource, *, field: str) -> Iterator[tuple[str, str | None]]:
    """(problem text, worked solution in `field`) of every row, for a recorded teacher; None where a row has none.

    Raises SourceError where rows have no such field.
    """
    rows_of = _rows_source(source)
    subject = () if rows_of.subject_field is None or rows_of.subject is None else (rows_of.subject_field,)
    for where, row in _chosen_rows(rows_of, fields=(rows_of.prompt_field, field, *subject)):
        solution = _text_or_none(row, field, where=where, key="completion_field")
        yield _text(row, rows_of.prompt_field, where=where, key="prompt_field"), solution


def _rows_source(source: LocalSource | HubSource | PresetSource) -> LocalSource | HubSource:
    return resolve_preset(source) if isinstance(source, PresetSource) else source


def _place(source: LocalSource | HubSource) -> str:
    return source.path if isinstance(source, LocalSource) else f"Hub data set {source.id!r}, split {source.split!r}"


def _worked_answer(text: str) -> str:
    working = work_out(text)
    assert working is not None, text
    return working.answer


def _chosen_rows(source: LocalSource | HubSource, *, fields: Sequence[str]) -> Iterator[Row]:
    """Rows of the asked subject, up to the limit; raises SourceError where there are none."""
    if isinstance(source, LocalSource):
        rows = file_rows(Path(source.path), fields=fields)
    else:
        rows = hub_rows(source, fields=fields)
    subjects: set[str] = set()
    if source.subject is not None:
        rows = _of_subject(rows, source, subjects)
    empty = True
    for row in islice(rows, source.limit):
        empty = False
        yield row
    if empty and subjects:
        way_out = nearest(source.subject or "", subjects)
        raise SourceError(f"{_place(source)}: no row has subject {source.subject!r}; {way_out}")
    if empty:
        kind = "the file" if isinstance(source, LocalSource) else "it"
        raise SourceError(f"{_place(source)}: {kind} is empty, expected one problem per row; check the path")


def _of_subject(rows: Iterator[Row], source: RowSource, subjects: set[str]) -> Iterator[Row]:
    """Rows of the asked subject; every subject met is put into `subjects`."""
    assert source.subject is not None
    assert source.subject_field is not None
    asked = subject_name(source.subject)
    for where, row in rows:
        subject = subject_name(_text(row, source.subject_field, where=where, key="subject_field"))
        subjects.add(subject)
        if subject == asked:
            yield where, row


def _problem_of_row(row: Mapping[str, JsonValue], *, where: str, source: RowSource) -> SourceProblem | UnreadableAnswer:
    prompt = _text(row, source.prompt_field, where=where, key="prompt_field")
    text = _text_or_none(row, source.answer_field, where=where, key="answer_field")
    difficulty = _difficulty(row, source.difficulty_field, where=where) if source.difficulty_field else None
    if not text:
        held = field_value(row, source.answer_field, where=where, key="answer_field")
        reason = f"the problem has no answer (column {source.answer_field!r} is {held!r})"
        return UnreadableAnswer(where=where, reason=reason)
    value, reason = answer_value(text, answer_format=source.answer_format)
    return SourceProblem(prompt, value, difficulty, where) if value else UnreadableAnswer(where=where, reason=reason)


def _refuse_too_many(unreadable: Sequence[UnreadableAnswer], *, num_rows: int, source: LocalSource | HubSource) -> None:
    """Raises SourceError where more answers than allowed, or all, cannot be extracted."""
    if len(unreadable) < num_rows and len(unreadable) <= source.max_unreadable_share * num_rows:
        return
    listed = "; ".join(f"{row.where}: {row.reason}" for row in unreadable[:NUM_LISTED])
    more = f"; and {len(unreadable) - NUM_LISTED} more" if len(unreadable) > NUM_LISTED else ""
    raise SourceError(
        f"{len(unreadable)} of {num_rows} answers cannot be extracted, over "
        f"max_unreadable_share={source.max_unreadable_share:g}: {listed}{more}. Mend or drop the rows, set "
        f"answer_field and answer_format (now {source.answer_field!r}, {source.answer_format!r}), or raise "
        "max_unreadable_share"
    )


def _difficulty(row: Mapping[str, JsonValue], path: str, *, where: str) -> int:
    value = field_value(row, path, where=where, key="difficulty_field")
    if isinstance(value, bool) or not isinstance(value, int | float) or value % 1:
        raise SourceError(f"{where}: difficulty {value!r} is no whole number; leave difficulty_field out")
    return int(value)


def _trace(row: Mapping[str, JsonValue], *, where: str, source: RowSource) -> str | None:
    """The row's trace; of several the first that is marked correct, where the source has such marks."""
    assert source.trace_field is not None
    held = field_value(row, source.trace_field, where=where, key="trace_field")
    traces = held if isinstance(held, list) else [held]
    marks: JsonValue = [True] * len(traces)
    if source.trace_correct_field is not None:
        marks = field_value(row, source.trace_correct_field, where=where, key="trace_correct_field")
    if marks is None:
        return None
    if not isinstance(marks, list) or len(marks) != len(traces):
        raise SourceError(
            f"{where}: {source.trace_correct_field!r} holds {marks!r:.40}, expected one truth value for each of the "
            f"{len(traces)} traces in {source.trace_field!r}"
        )
    return next((t for t, mark in zip(traces, marks, strict=True) if mark is True and isinstance(t, str)), None)


def _text(row: Mapping[str, JsonValue], path: str, *, where: str, key: str) -> str:
    text = _text_or_none(row, path, where=where, key=key)
    if not text:
        kind = key.removesuffix("_field")
        held = field_value(row, path, where=where, key=key)
        raise SourceError(f"{where}: the problem has no {kind} (column {path!r} is {held!r}); fill it or drop the row")
    return text


def _text_or_none(row: Mapping[str, JsonValue], path: str, *, where: str, key: str) -> str | None:
    value = field_value(row, path, where=where, key=key)
    if isinstance(value, bool | list | dict) or (isinstance(value, float) and math.isnan(value)):
        raise SourceError(f"{where}: column {path!r} holds {value!r:.60}, expected text or a number; set {key}")
    return None if value is None else str(value).strip()
