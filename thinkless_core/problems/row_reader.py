"""Problems, recorded traces and worked solutions from rows with named fields, wherever the rows come from.

rows -> those of the chosen subject, up to the limit -> SourceProblems (text, answer, difficulty, origin), in order
                                                     -> rows without a readable answer: listed; an error if too many
                                                     -> traces or worked solutions, for a recorded teacher
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from pydantic import JsonValue

from schemas.configs.problems import RowSource
from schemas.configs.source import Recorded, SourceProblem
from schemas.errors import SourceError, nearest
from schemas.records.unreadable_answers import UnreadableAnswer
from thinkless_core.problems.answer_fields import answer_value, field_value, subject_name
from thinkless_core.problems.recorded_answers import recorded_answers

NUM_LISTED = 3
"""Unreadable answers that an error names."""

Row = tuple[str, Mapping[str, JsonValue]]
"""(where, fields)."""


class RowReader(ABC):
    """Reads a source of rows; a subclass says where the rows come from."""

    def __init__(self, source: RowSource) -> None:
        self._source = source

    @abstractmethod
    def rows(self, fields: Sequence[str]) -> Iterator[Row]:
        """Every row, with at least these fields if they are there; raises SourceError or Transient."""

    def problems(self, *, name: str, seed: int) -> Iterator[SourceProblem | UnreadableAnswer]:
        """See SourceConfig.problems; raises SourceError if too many answers cannot be extracted."""
        source = self._source
        unreadable: list[UnreadableAnswer] = []
        num_rows = 0
        for where, row in self._chosen(source.prompt_field, source.answer_field, source.difficulty_field):
            num_rows += 1
            problem = _problem_of_row(row, where=where, source=source)
            if isinstance(problem, UnreadableAnswer):
                unreadable.append(problem)
            yield problem
        _refuse_too_many(unreadable, num_rows=num_rows, source=source)

    def traces(self, *, field: str | None = None, thinking_field: str | None = None) -> Iterator[tuple[str, Recorded]]:
        """See SourceConfig.traces; of several traces those are marked whose marks are not true."""
        source = self._source if field is None else self._source.model_copy(update={"trace_field": field})
        if source.trace_field is None:
            raise SourceError(f"{source.place()} names no trace_field; set it to the field with the recorded reasoning")
        # Marks belong to the source's own field of traces.
        marks = source.trace_correct_field if field in (None, self._source.trace_field) else None
        for where, row in self._chosen(source.prompt_field, source.trace_field, thinking_field, marks):
            yield (
                _text(row, source.prompt_field, where=where, key="prompt_field"),
                recorded_answers(
                    field_value(row, source.trace_field, where=where, key="trace_field"),
                    thoughts=thinking_field and field_value(row, thinking_field, where=where, key="thinking_field"),
                    marks=marks and field_value(row, marks, where=where, key="trace_correct_field"),
                    marked=marks is not None,
                    where=where,
                    key="trace_field",
                ),
            )

    def solutions(self, *, field: str) -> Iterator[tuple[str, str | None]]:
        """See SourceConfig.solutions."""
        prompt_field = self._source.prompt_field
        for where, row in self._chosen(prompt_field, field):
            solution = _text_or_none(row, field, where=where, key="completion_field")
            yield _text(row, prompt_field, where=where, key="prompt_field"), solution

    def _chosen(self, *fields: str | None) -> Iterator[Row]:
        """Rows of the chosen subject, up to the limit; raises SourceError if there are none."""
        source = self._source
        subject_field = source.subject_field if source.subject is not None else None
        rows = self.rows([field for field in (*fields, subject_field) if field is not None])
        subjects: set[str] = set()
        if source.subject is not None:
            rows = _of_subject(rows, source, subjects)
        empty = True
        for row in islice(rows, source.limit):
            empty = False
            yield row
        if empty and subjects:
            way_out = nearest(source.subject or "", subjects)
            raise SourceError(f"{source.place()}: no row has subject {source.subject!r}; {way_out}")
        if empty:
            raise SourceError(f"{source.place()} is empty, expected one problem per row; check the path")


def _of_subject(rows: Iterator[Row], source: RowSource, subjects: set[str]) -> Iterator[Row]:
    """Rows of the chosen subject; every subject met is put into `subjects`."""
    assert source.subject is not None
    assert source.subject_field is not None
    chosen = subject_name(source.subject)
    for where, row in rows:
        subject = subject_name(_text(row, source.subject_field, where=where, key="subject_field"))
        subjects.add(subject)
        if subject == chosen:
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


def _refuse_too_many(unreadable: Sequence[UnreadableAnswer], *, num_rows: int, source: RowSource) -> None:
    """Raises SourceError if more answers than allowed, or all, cannot be extracted."""
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
