"""`thinkless grade`: given answers against their references, or a benchmark's references against themselves.

FILE with given answers -> extracted, judged -> wrong ones with their reason, counts
data set without them   -> every reference in other spellings and with a digit changed -> counts, exceptions
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from infra.disk import write_whole
from schemas.configs.presets import PRESETS, PresetSource
from schemas.configs.problems import LocalSource
from schemas.configs.source import SourceConfig
from schemas.errors import ConfigError
from thinkless_core.grading.extraction import answer_in
from thinkless_core.grading.self_check import SpellingCheck, check_references
from thinkless_core.grading.strict import grade_batch
from thinkless_core.problems.answer_fields import answer_value
from thinkless_core.problems.field_text import Fault, field_text
from thinkless_core.problems.problem_sources import read_source
from thinkless_core.problems.source_files import FileReader

GIVEN_FIELDS = ("given", "completion", "response", "prediction", "generation", "output")
REFERENCE_FIELDS = ("reference", "answer", "gold", "target", "solution")
EXPECTED_FIELD = "correct"
"""A file that says what is right is compared with the verdicts."""


class GivenRow(NamedTuple):
    """A row with a given answer."""

    where: str
    given: str
    reference: str
    expected: bool | None
    """What the file says; None if it says nothing."""


def execute(arguments: argparse.Namespace) -> int:
    """Grade one file or data set; returns 1 if a check fails."""
    if arguments.data_set in PRESETS:
        source = _preset(arguments)
    else:
        row = _first_row(arguments.data_set)
        given = arguments.given or _first_of(GIVEN_FIELDS, row)
        reference = arguments.reference or _first_of(REFERENCE_FIELDS, row) or REFERENCE_FIELDS[0]
        if given is not None:
            return _grade_rows(arguments, given, reference)
        source = LocalSource(
            path=arguments.data_set,
            prompt_field=reference,  # no question is read here
            answer_field=reference,
            answer_format=arguments.answer_format,
        )
    read = read_source(source, name=source.display_name(), seed=0)
    references = [problem.answer for problem in read.problems]
    checks = check_references(references)
    print("\n".join(_check_lines(source.place(), checks, num_references=len(references), shown=arguments.show)))
    if read.unreadable:
        first = read.unreadable[0]
        print(f"  {len(read.unreadable)} rows have no readable reference; the first is {first.where}: {first.reason}")
    return 0 if all(check.passed for check in checks) else 1


def _preset(arguments: argparse.Namespace) -> SourceConfig:
    """A well-known data set, on the Hub or in the folder of copies; raises ConfigError."""
    name = arguments.data_set
    source = PresetSource(name=name, split=arguments.split)
    if arguments.folder is None:
        return source
    copy = source.local_copy()
    file = copy.file if copy else None
    if file is None or not (Path(arguments.folder) / file).is_file():
        raise ConfigError(
            f"--data: {arguments.folder} holds no copy of {name} ({file or 'it has no usual file name'}); leave "
            "--data out to read the Hub, or name the file itself"
        )
    return PresetSource(name=name, path=str(Path(arguments.folder) / file))


def _first_of(names: Sequence[str], row: Mapping[str, object]) -> str | None:
    return next((name for name in names if name in row), None)


def _first_row(path: str) -> Mapping[str, object]:
    """The first row of a file; raises SourceError, or ConfigError if there is none."""
    if not Path(path).exists() and not Path(path).suffix:
        raise ConfigError(f"no file and no known data set {path!r}; expected a file, or one of {', '.join(PRESETS)}")
    for _, row in FileReader(LocalSource(path=path)).rows(()):
        return row
    raise ConfigError(f"{path} is empty, expected one answer per row")


def _grade_rows(arguments: argparse.Namespace, given_field: str, reference_field: str) -> int:
    rows = list(_given_rows(arguments, given_field, reference_field))
    answers = [answer_in(row.given) for row in rows]
    grades = grade_batch(answers, [row.reference for row in rows])
    wrong = [(r, a, g) for r, a, g in zip(rows, answers, grades, strict=True) if not g.correct]
    counts = Counter(grade.reason.value for grade in grades)
    print(f"{arguments.data_set}: {len(rows) - len(wrong):,} of {len(rows):,} correct")
    print("  " + ", ".join(f"{reason} {count:,}" for reason, count in counts.most_common()))
    for row, answer, grade in wrong[: arguments.show]:
        print(
            f"  {row.where}: {grade.reason.value}: reference {row.reference!r}, read {answer!r} in {row.given[-60:]!r}"
        )
    if arguments.output:
        verdicts = (
            {"where": r.where, "reference": r.reference, "answer": a, "correct": g.correct, "reason": g.reason.value}
            for r, a, g in zip(rows, answers, grades, strict=True)
        )
        lines = "".join(json.dumps(verdict, ensure_ascii=False) + "\n" for verdict in verdicts)
        write_whole(Path(arguments.output), lines.encode())
    disagree = [
        f"  {r.where}: the file says {'correct' if r.expected else 'wrong'}, judged {g.reason.value}"
        for r, g in zip(rows, grades, strict=True)
        if r.expected is not None and r.expected is not g.correct
    ]
    if disagree:
        print(f"{len(disagree)} verdicts are not what column {EXPECTED_FIELD!r} of the file says:")
        print("\n".join(disagree[: arguments.show]))
    return 1 if disagree else 0


def _given_rows(arguments: argparse.Namespace, given_field: str, reference_field: str) -> Iterator[GivenRow]:
    """Rows with a given answer, which may be empty; raises ConfigError for a row without one of the fields."""
    for where, row in FileReader(LocalSource(path=arguments.data_set)).rows(()):
        given = field_text(row, given_field, key="--given", kind="given answer")
        if isinstance(given, Fault):
            if given.of_setting:
                raise ConfigError(f"{where}: {given.reason}; set --given")
            given = ""
        text = field_text(row, reference_field, key="--reference", kind="reference")
        if isinstance(text, Fault):
            raise ConfigError(f"{where}: {text.reason}; set --reference, or mend the row")
        reference, reason = answer_value(text, answer_format=arguments.answer_format)
        if not reference:
            raise ConfigError(f"{where}: {reason}; set --answer-format or mend the row")
        expected = row.get(EXPECTED_FIELD)
        yield GivenRow(where, given, reference, expected if isinstance(expected, bool) else None)


def _check_lines(place: str, checks: Sequence[SpellingCheck], *, num_references: int, shown: int) -> Iterator[str]:
    yield f"{place}: {num_references:,} references, {checks[0].num_asked:,} distinct"
    for check in checks:
        verb = "accepted" if check.expected else "refused"
        right = check.num_asked - len(check.exceptions)
        yield f"  {check.name:<20} {verb:<8} {right:>6,} of {check.num_asked:>6,}{'' if check.passed else '   FAILED'}"
    for check in checks:
        for written, reference in check.exceptions[:shown]:
            verdict = "refused" if check.expected else "accepted"
            yield f"  {check.name}: {written!r} for reference {reference!r} is {verdict}"
        if len(check.exceptions) > shown:
            yield f"  {check.name}: and {len(check.exceptions) - shown} more"
