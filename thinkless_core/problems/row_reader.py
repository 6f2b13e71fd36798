"""Problems, recorded traces and worked solutions from rows with named fields, wherever the rows come from.

rows -> those of the chosen subject, up to the limit -> SourceProblems (text, answer, difficulty, origin), in order
                                                     -> rows that cannot be used: listed; an error if too many
                                                     -> traces or worked solutions, for a recorded teacher
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from pydantic import JsonValue

from schemas.broken_escapes import doubtful_break
from schemas.configs.problems import RowSource
from schemas.configs.source import Recorded, SourceProblem
from schemas.errors import SourceError, nearest
from schemas.records.unreadable_answers import UnreadableAnswer
from thinkless_core.problems.answer_fields import answer_value, field_value, find_field, subject_name
from thinkless_core.problems.field_text import MISSING_WORDS, Fault, field_text, is_visible
from thinkless_core.problems.first_ones import FirstOnes
from thinkless_core.problems.recorded_answers import recorded_answers

ENOUGH_ROWS = 1000
"""If the first rows all lack what a setting names, the setting is wrong, and no other row is read."""

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
        unreadable = FirstOnes[UnreadableAnswer]()
        num_rows = num_misnamed = 0
        for where, row in self._chosen(source.prompt_field, source.answer_field, source.difficulty_field):
            num_rows += 1
            problem = _problem_of_row(row, where=where, source=source)
            if not isinstance(problem, Fault):
                yield problem
                continue
            found = UnreadableAnswer(where=where, reason=problem.reason)
            unreadable.add(found)
            yield found
            num_misnamed += problem.of_setting
            if num_misnamed == num_rows == ENOUGH_ROWS:
                break
        _refuse_too_many(unreadable, num_rows=num_rows, source=source)

    def traces(self, *, field: str | None = None, thinking_field: str | None = None) -> Iterator[tuple[str, Recorded]]:
        """See SourceConfig.traces; of several traces those are marked whose marks are not true."""
        source = self._source if field is None else self._source.model_copy(update={"trace_field": field})
        if source.trace_field is None:
            raise SourceError(f"{source.place()} names no trace_field; set it to the field with the recorded reasoning")
        # Marks belong to the source's own field of traces.
        marks = source.trace_correct_field if field in (None, self._source.trace_field) else None
        rows = self._chosen(source.prompt_field, source.trace_field, thinking_field, marks)
        for number, (where, row, prompt) in enumerate(_with_prompt(rows, source)):
            absent = find_field(row, source.trace_field)[1]
            if absent and number == 0:
                raise SourceError(f"{where}: {absent}; set trace_field to what is there")
            recorded = (
                None
                if absent
                else recorded_answers(
                    field_value(row, source.trace_field, where=where, key="trace_field"),
                    thoughts=thinking_field and field_value(row, thinking_field, where=where, key="thinking_field"),
                    marks=marks and field_value(row, marks, where=where, key="trace_correct_field"),
                    marked=marks is not None,
                    where=where,
                    key="trace_field",
                )
            )
            yield prompt, recorded

    def solutions(self, *, field: str) -> Iterator[tuple[str, str | None]]:
        """See SourceConfig.solutions."""
        rows = _with_prompt(self._chosen(self._source.prompt_field, field), self._source)
        for number, (where, row, prompt) in enumerate(rows):
            solution = field_text(row, field, key="completion_field", kind="solution")
            if isinstance(solution, Fault) and solution.of_setting and number == 0:
                raise SourceError(f"{where}: {solution.reason}; set completion_field to what is there")
            yield prompt, None if isinstance(solution, Fault) else solution.strip()

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


def _with_prompt(rows: Iterator[Row], source: RowSource) -> Iterator[tuple[str, Mapping[str, JsonValue], str]]:
    """Rows with the texts of their problems; a row without one is left out. Raises SourceError for a wrong setting."""
    for number, (where, row) in enumerate(rows):
        prompt = field_text(row, source.prompt_field, key="prompt_field", kind="prompt")
        if not isinstance(prompt, Fault):
            yield where, row, prompt.strip()
        elif prompt.of_setting and number == 0:
            raise SourceError(f"{where}: {prompt.reason}; set prompt_field to what is there")


def _of_subject(rows: Iterator[Row], source: RowSource, subjects: set[str]) -> Iterator[Row]:
    """Rows of the chosen subject; every subject met is put into `subjects`."""
    assert source.subject is not None
    assert source.subject_field is not None
    chosen = subject_name(source.subject)
    for where, row in rows:
        name = field_text(row, source.subject_field, key="subject_field", kind="subject")
        if isinstance(name, Fault):
            raise SourceError(f"{where}: {name.reason}; set subject_field, fill it or drop the row")
        subject = subject_name(name)
        subjects.add(subject)
        if subject == chosen:
            yield where, row


def _problem_of_row(row: Mapping[str, JsonValue], *, where: str, source: RowSource) -> SourceProblem | Fault:
    prompt = field_text(row, source.prompt_field, key="prompt_field", kind="prompt")
    text = field_text(row, source.answer_field, key="answer_field", kind="answer")
    if isinstance(prompt, Fault):
        return prompt
    if isinstance(text, Fault):
        return text
    difficulty = _difficulty(row, source.difficulty_field, where=where) if source.difficulty_field else None
    value, reason = answer_value(text, answer_format=source.answer_format)
    if not is_visible(value) or value in MISSING_WORDS:
        return Fault(reason or f"the problem has no answer (its value is {value!r})", of_setting=False)
    return SourceProblem(prompt.strip(), value, difficulty, where, _doubt(prompt=prompt, answer=text))


def _doubt(**texts: str) -> str:
    """What looks damaged in the texts of a problem; empty if nothing does."""
    found = {kind: doubtful_break(text) for kind, text in texts.items()}
    return next((f"the {kind} has {doubt}" for kind, doubt in found.items() if doubt), "")


def _refuse_too_many(unreadable: FirstOnes[UnreadableAnswer], *, num_rows: int, source: RowSource) -> None:
    """Raises SourceError if more rows than allowed, or all, cannot be used."""
    if unreadable.count < num_rows and unreadable.count <= source.max_unreadable_share * num_rows:
        return
    listed = "; ".join(f"{row.where}: {row.reason}" for row in unreadable.listed)
    raise SourceError(
        f"{unreadable.count} of {num_rows} answers cannot be extracted, or belong to no readable problem, over "
        f"max_unreadable_share={source.max_unreadable_share:g}: {listed}{unreadable.more}. Mend or drop the rows, set "
        f"prompt_field, answer_field and answer_format (now {source.prompt_field!r}, {source.answer_field!r}, "
        f"{source.answer_format!r}), or raise max_unreadable_share"
    )


def _difficulty(row: Mapping[str, JsonValue], path: str, *, where: str) -> int:
    value = field_value(row, path, where=where, key="difficulty_field")
    if isinstance(value, bool) or not isinstance(value, int | float) or value % 1:
        raise SourceError(f"{where}: difficulty {value!r} is no whole number; leave difficulty_field out")
    return int(value)
