"""One meaning, one treatment: whatever stands for `no answer` makes its row unreadable; one share covers them all."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.configs.problems import LocalSource
from schemas.errors import SourceError
from tests.problem_rows import GOOD, read, write
from thinkless_core.problems.problem_sources import SourceRead, read_source

GOOD_LINES = [f'{{"prompt": "p{n}", "answer": "{n}"}}' for n in range(119)]

NO_ANSWER = [
    ('{"prompt": "q"}', "no column 'answer'; known: prompt; the columns are prompt"),
    ('{"prompt": "q", "answer": null}', "the problem has no answer (column 'answer' is None)"),
    ('{"prompt": "q", "answer": ""}', "the problem has no answer (column 'answer' is '')"),
    ('{"prompt": "q", "answer": " \\u00a0\\n"}', "the problem has no answer (column 'answer' is ' \\xa0\\n')"),
    ('{"prompt": "q", "answer": "\\u200b"}', "the problem has no answer (column 'answer' is '\\u200b')"),
    ('{"prompt": "q", "answer": "\\ue000"}', "the problem has no answer"),  # no character of any script
    ('{"prompt": "q", "answer": "#### \\u200b"}', "the problem has no answer (its value is '\\u200b')"),
    ('{"prompt": "q", "answer": NaN}', "column 'answer' holds nan, expected text or a number"),
    ('{"prompt": "q", "answer": -Infinity}', "column 'answer' holds -inf, expected text or a number"),
    ('{"prompt": "q", "answer": 1e999}', "column 'answer' holds inf, expected text or a number"),
    ('{"prompt": "q", "answer": true}', "column 'answer' holds True, expected text or a number"),
    ('{"prompt": "q", "answer": ["1", "2"]}', "set answer_field to a part of it, such as answer.0"),
    ('{"prompt": "q", "answer": {"value": "1"}}', "set answer_field to a part of it, such as answer.value"),
    ('{"prompt": "q", "answer": "nan"}', "the problem has no answer (column 'answer' is 'nan')"),
    ('{"prompt": "q", "answer": "None"}', "the problem has no answer (column 'answer' is 'None')"),
    ('{"prompt": "q", "answer": "#### nan"}', "the problem has no answer (its value is 'nan')"),
    (
        '{"prompt": "q", "answer": "$\\frac{1}{2}$"}',
        "the answer holds a form feed followed by 'rac', most likely an un",
    ),
    ('{"prompt": "q", "answer": "\\frac{1}{2}"}', "the answer holds a form feed"),  # not stripped away before
    ('{"prompt": "a \\ud800 b?", "answer": "5"}', "the prompt holds a lone surrogate, U+D800"),
    ('{"prompt": "a\\bar{x}", "answer": "5"}', "the prompt holds a backspace followed by 'ar'"),
    ('{"prompt": "\\u0000", "answer": "5"}', "the prompt holds the control character U+0000"),
    ('{"answer": "5"}', "no column 'prompt'"),
    ('{"prompt": null, "answer": "5"}', "the problem has no prompt (column 'prompt' is None)"),
    ('{"prompt": false, "answer": "5"}', "column 'prompt' holds False"),
    ('{"pro\\ud800mpt": "q", "answer": "5"}', "the columns are answer, pro\\ud800mpt"),
]


def read_lines(path: Path, *lines: str, **settings: object) -> SourceRead:
    """What a file of these lines gives."""
    path.write_text("\n".join(lines), encoding="utf-8")
    return read_source(LocalSource(path=str(path), **settings), name="train", seed=0)


@pytest.mark.parametrize(("line", "said"), NO_ANSWER, ids=[line[1:] for line, _ in NO_ANSWER])
def test_a_row_among_120_that_cannot_be_used_is_dropped_and_listed(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "p.jsonl"
    found = read_lines(path, *GOOD_LINES[:60], line, *GOOD_LINES[60:])
    assert len(found.problems) == 119
    (row,) = found.unreadable
    assert row.where == f"{path}, line 61"
    assert said in row.reason
    assert row.reason.isprintable(), "it is written to a table and to the screen"


@pytest.mark.parametrize(("line", "said"), NO_ANSWER, ids=[line[1:] for line, _ in NO_ANSWER])
def test_more_of_them_than_the_share_stop_the_run(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "p.jsonl"
    with pytest.raises(SourceError) as caught:
        read_lines(path, *GOOD_LINES, line, line)
    assert "2 of 121 answers cannot be extracted, or belong to no readable problem" in str(caught.value)
    assert said in str(caught.value)
    assert f"{path}, line 120: " in str(caught.value)
    assert len(read_lines(path, *GOOD_LINES, line, line, max_unreadable_share=0.02).unreadable) == 2


def test_all_kinds_count_together(tmp_path: Path) -> None:
    lines = [line for line, _ in NO_ANSWER]
    found = read_lines(tmp_path / "p.jsonl", *GOOD_LINES, *lines, max_unreadable_share=0.2)
    assert len(found.unreadable) == len(lines) == 25
    with pytest.raises(SourceError, match=r"25 of 144 answers .* and 22 more"):
        read_lines(tmp_path / "p.jsonl", *GOOD_LINES, *lines, max_unreadable_share=0.1)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"5", "column 'answer' holds b'5', expected text or a number"),
        (datetime.date(2026, 1, 31), "column 'answer' holds datetime.date(2026, 1, 31)"),
        (datetime.timedelta(seconds=5), "column 'answer' holds datetime.timedelta"),
        (float("nan"), "column 'answer' holds nan"),
        (None, "column 'answer' is None"),
    ],
)
def test_a_parquet_value_that_is_no_text_is_unreadable_and_never_spelt_in_python(
    tmp_path: Path, value: object, said: str
) -> None:
    pq.write_table(pa.table({"prompt": ["q"], "answer": [value]}), tmp_path / "p.parquet")
    with pytest.raises(SourceError) as caught:
        read(tmp_path / "p.parquet")
    assert "p.parquet, row 1: " in str(caught.value)
    assert said in str(caught.value)


def test_numbers_of_every_parquet_type_are_answers(tmp_path: Path) -> None:
    for column, answer in (
        (pa.array([5], pa.int8()), "5"),
        (pa.array([Decimal("5.00")]), "5.00"),
        (pa.array([Decimal("1E+2")], pa.decimal128(5, 0)), "100"),
        (pa.array(["5"]).dictionary_encode(), "5"),
        (pa.array(["5"], pa.large_string()), "5"),
    ):
        pq.write_table(pa.table({"prompt": ["q"], "answer": column}), tmp_path / "p.parquet")
        assert read(tmp_path / "p.parquet") == [("q", answer, None)]


def test_a_field_inside_another_may_be_missing_in_a_row(tmp_path: Path) -> None:
    rows = [*({"prompt": f"p{n}", "turns": [{"value": str(n)}]} for n in range(200)), {"prompt": "q", "turns": []}]
    path = write(tmp_path / "p.json", rows)
    found = read_source(LocalSource(path=str(path), answer_field="turns.-1.value"), name="train", seed=0)
    assert [row.reason for row in found.unreadable] == ["'turns.-1.value' stops at '-1': there it holds 0 items"]


def test_a_field_that_no_row_has_is_refused_without_reading_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"question": "q", "answer": "1"}\n' * 1000 + "not even JSON\n")
    with pytest.raises(SourceError) as caught:
        read(path)
    assert "1000 of 1000" in str(caught.value)
    assert "line 1: no column 'prompt'; known: answer, question" in str(caught.value)
    assert "set prompt_field, answer_field and answer_format (now 'prompt', 'answer', 'auto')" in str(caught.value)


def test_recordings_leave_out_the_rows_that_the_problems_leave_out(tmp_path: Path) -> None:
    good = {"prompt": "q", "answer": "1", "trace": "<think>r</think>1", "solution": "so 1"}
    rows = [good, good | {"prompt": None}, {"prompt": "r", "answer": "2"}, good | {"prompt": "s", "trace": None}]
    source = LocalSource(path=str(write(tmp_path / "p.jsonl", rows)), trace_field="trace")
    traces = dict(source.traces())
    assert list(traces) == ["q", "r", "s"]
    assert traces["r"] is None
    assert traces["q"]
    assert list(source.solutions(field="solution")) == [("q", "so 1"), ("r", None), ("s", "so 1")]
    with pytest.raises(
        SourceError, match=r"line 1: no column 'solutions'; did you mean 'solution'\?.*completion_field"
    ):
        list(source.solutions(field="solutions"))


def test_a_doubtful_break_is_kept_and_said(tmp_path: Path) -> None:
    lines = [json.dumps(row) for row in GOOD]
    found = read_lines(tmp_path / "p.jsonl", *lines, '{"prompt": "is 1 $\\neq$ 2?", "answer": "\\times"}')
    assert [p.doubt for p in found.problems] == [
        "",
        "",
        "the prompt has a line break followed by 'eq', most likely an unescaped backslash (\\neq)",
    ]
    assert found.problems[2].prompt == "is 1 $\neq$ 2?"
