"""Problems from local files, good and bad, in every format."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from schemas.errors import SourceError
from tests.problem_rows import GOOD, read, write
from tests.real_data import real_data


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
def test_every_format_gives_the_same_problems(tmp_path: Path, suffix: str) -> None:
    assert read(write(tmp_path / f"p{suffix}", GOOD)) == [("11+22=?", "3", None), ("11+33=?", "4", None)]


def test_columns_may_have_other_names_and_a_difficulty(tmp_path: Path) -> None:
    path = write(tmp_path / "p.json", [{"question": "q", "solution": 7, "level": 2}])
    settings = {"prompt_field": "question", "answer_field": "solution", "difficulty_field": "level"}
    assert read(path, **settings) == [("q", "7", 2)]


def test_the_value_after_the_mark_is_the_answer(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", [{"prompt": "q", "answer": "3 * 4 = <<3*4=12>>12 eggs.\n#### 12"}])
    assert read(path) == [("q", "12", None)]


def test_a_limit_reads_the_first_rows_only(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", GOOD)
    assert read(path, limit=1) == [("11+22=?", "3", None)]
    assert len(read(path, limit=2)) == len(read(path, limit=3)) == 2
    path.write_text(path.read_text() + "not JSON\n")
    assert len(read(path, limit=2)) == 2, "what stands behind the limit is not even read"
    with pytest.raises(SourceError, match="line 3: not JSON"):
        read(path, limit=3)


def test_empty_lines_between_rows_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('\n{"prompt": "q", "answer": "1"}\n\n  \n{"prompt": "r", "answer": "2"}\n')
    assert len(read(path)) == 2


BAD_FILES = {
    "an empty jsonl": ("p.jsonl", "", ["p.jsonl", "empty", "check the path"]),
    "an empty json": ("p.json", "", ["p.json", "empty"]),
    "an empty list": ("p.json", "[]", ["p.json", "empty"]),
    "blank lines only": ("p.jsonl", "\n \n", ["empty"]),
    "a line that is not JSON": (
        "p.jsonl",
        '{"prompt": "q", "answer": "1"}\n{"prompt": \n',
        ["p.jsonl, line 2", "not JSON", "one object per line"],
    ),
    "a file that is not JSON": ("p.json", '[\n{"prompt": }]', ["p.json, line 2", "not JSON", "list of objects"]),
    "an object for a list": ("p.json", '{"prompt": "q"}', ["p.json", "dict", "list of objects"]),
    "a line that is no object": ("p.jsonl", '{"prompt": "q", "answer": "1"}\n[1, 2]\n', ["line 2", "[1, 2]", "object"]),
    "an item that is no object": ("p.json", '[{"prompt": "q", "answer": "1"}, "x"]', ["item 2", "'x'", "object"]),
    "a row that lacks a column": (
        "p.jsonl",
        '{"prompt": "q", "answer": "1"}\n\n{"prompt": "q", "answr": "1"}\n',
        ["line 3", "no column 'answer'", "did you mean 'answr'?", "answer_field"],
    ),
    "a row without columns": ("p.jsonl", "{}\n", ["line 1", "no column 'prompt'", "the row is empty"]),
    "a problem without an answer": (
        "p.jsonl",
        '{"prompt": "q", "answer": null}\n',
        ["line 1", "has no answer", "'answer' is None", "drop the row"],
    ),
    "a blank answer": ("p.jsonl", '{"prompt": "q", "answer": " "}\n', ["line 1", "has no answer"]),
    "a mark with nothing behind it": ("p.jsonl", '{"prompt": "q", "answer": "so ####"}\n', ["line 1", "empty answer"]),
    "a problem without text": ("p.jsonl", '{"prompt": "", "answer": "1"}\n', ["line 1", "has no prompt"]),
    "an unknown ending": ("p.csv", "prompt,answer\nq,1\n", ["'.csv'", ".jsonl, .json or .parquet"]),
    "no ending": ("problems", "x", ["''", ".jsonl, .json or .parquet"]),
    "text in a Parquet file": ("p.parquet", "prompt,answer", ["p.parquet", "cannot be read", "Parquet"]),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_with_its_place_and_the_way_out(tmp_path: Path, name: str) -> None:
    file, text, said = BAD_FILES[name]
    (tmp_path / file).write_text(text)
    with pytest.raises(SourceError) as caught:
        read(tmp_path / file)
    missing = [part for part in said if part not in str(caught.value)]
    assert not missing, f"{missing} not in: {caught.value}"


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"absent\.jsonl: no such file; check problems"):
        read(tmp_path / "absent.jsonl")
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(SourceError, match=r"folder\.jsonl: cannot be read"):
        read(tmp_path / "folder.jsonl")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_bytes(b'{"prompt": "\xff\xfe", "answer": "1"}\n')
    with pytest.raises(SourceError, match="cannot be read"):
        read(tmp_path / "p.jsonl")


def test_a_row_of_a_parquet_file_is_named_by_its_number(tmp_path: Path) -> None:
    path = write(tmp_path / "p.parquet", [GOOD[0], {"prompt": "q", "answer": None}])
    with pytest.raises(SourceError, match=r"p\.parquet, row 2: the problem has no answer"):
        read(path)


def test_a_difficulty_that_is_no_whole_number_is_refused(tmp_path: Path) -> None:
    for value, shown in (("Level 5", "'Level 5'"), (2.5, "2.5"), (True, "True"), (None, "None"), (math.nan, "nan")):
        path = write(tmp_path / "p.jsonl", [{"prompt": "q", "answer": "1", "level": value}])
        with pytest.raises(
            SourceError, match=f"line 1: difficulty {shown} is no whole number; leave difficulty_field out"
        ):
            read(path, difficulty_field="level")


def test_a_whole_number_may_be_written_as_2_0(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", [{"prompt": "q", "answer": "1", "level": 2.0}])
    ((_, _, difficulty),) = read(path, difficulty_field="level")
    assert (difficulty, type(difficulty)) == (2, int)


@pytest.mark.parametrize("value", [math.nan, True, [], ["x"], {"a": 1}])
@pytest.mark.parametrize("column", ["prompt", "answer"])
def test_a_text_that_is_neither_text_nor_a_number_is_refused(tmp_path: Path, column: str, value: object) -> None:
    path = write(tmp_path / "p.jsonl", [GOOD[0], {"prompt": "q", "answer": "1"} | {column: value}])
    said = (
        rf"p\.jsonl, line 2: column '{column}' holds {re.escape(repr(value))}, expected text or a number; set {column}_"
    )
    with pytest.raises(SourceError, match=said):
        read(path)


@pytest.mark.parametrize(
    ("file", "prompt_field", "answer_field", "count"),
    [("gsm8k_test.jsonl", "question", "answer", 1319), ("math500.json", "problem", "answer", 500)],
)
def test_real_data_sets_are_read_as_they_are(file: str, prompt_field: str, answer_field: str, count: int) -> None:
    problems = read(real_data(file), prompt_field=prompt_field, answer_field=answer_field)
    assert len(problems) == count
    assert all("####" not in answer for _, answer, _ in problems)
