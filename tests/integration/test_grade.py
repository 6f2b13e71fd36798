"""`thinkless grade`: given answers of a file, and a data set's references against themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.processes import Said
from tests.real_data import real_data

Thinkless = Callable[..., Said]
ROWS = [
    {"given": "The answer is \\boxed{3, 1}", "reference": "1,3"},
    {"given": "<think>a</think>9 apples", "reference": "9 (apples)"},
    {"given": "#### 12", "reference": "worked\n#### 13"},
    {"given": "<think>never ends", "reference": "7"},
    {"given": 5, "reference": 5.0},
]


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    """A file of JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_given_answers_are_judged_and_wrong_ones_listed(thinkless_here: Thinkless, tmp_path: Path) -> None:
    path, verdicts = write(tmp_path / "rows.jsonl", ROWS), tmp_path / "verdicts.jsonl"
    answer = thinkless_here(tmp_path, "grade", str(path), "--output", str(verdicts))
    assert answer.code == 0
    assert f"{path}: 3 of 5 correct\n  exact 3, different 1, missing 1\n" in answer.out
    assert "line 3: different: reference '13', read '12' in '#### 12'" in answer.out
    assert "line 4: missing: reference '7', read None" in answer.out
    written = [json.loads(line) for line in verdicts.read_text(encoding="utf-8").splitlines()]
    assert [row["correct"] for row in written] == [True, True, False, False, True]
    assert [row["answer"] for row in written] == ["3, 1", "9 apples", "12", None, "5"]


def test_a_file_that_says_what_is_right_is_compared_with_the_verdicts(
    thinkless_here: Thinkless, tmp_path: Path
) -> None:
    rows: list[dict[str, object]] = [
        {"completion": "4", "gold": "4", "correct": True},
        {"completion": "4", "gold": "5", "correct": True},
    ]
    answer = thinkless_here(tmp_path, "grade", str(write(tmp_path / "rows.jsonl", rows)))
    assert answer.code == 1
    assert "1 verdicts are not what column 'correct' of the file says" in answer.out
    assert "line 2: the file says correct, judged different" in answer.out


def test_references_alone_are_judged_against_themselves(thinkless_here: Thinkless, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"question": "a", "answer": "1, 3"}, {"question": "b", "answer": "1^7"}]
    answer = thinkless_here(tmp_path, "grade", str(write(tmp_path / "rows.jsonl", rows)))
    assert answer.code == 1
    assert "2 references, 2 distinct" in answer.out
    assert "reversed list        accepted      1 of      1\n" in answer.out
    assert "last digit changed   refused       1 of      2   FAILED\n" in answer.out
    assert "last digit changed: '1^8' for reference '1^7' is accepted" in answer.out


def test_a_well_known_data_set_is_read_from_its_copy(thinkless_here: Thinkless, tmp_path: Path) -> None:
    folder = real_data("aime24.json").parent
    answer = thinkless_here(tmp_path, "grade", "aime24", "--data", str(folder))
    assert answer.code == 0
    assert "30 references, 29 distinct" in answer.out
    assert "FAILED" not in answer.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nosuch",), "no file and no known data set 'nosuch'; expected a file, or one of deepscaler"),
        (("absent.jsonl",), "absent.jsonl: no such file"),
        (("aime24", "--data", "."), "holds no copy of aime24 (aime24.json)"),
        (
            ("rows.jsonl", "--given", "text"),
            "line 1: no column 'text'; known: given, reference; the columns are given, reference; set --given",
        ),
        (
            ("rows.jsonl", "--reference", "gold"),
            "line 1: no column 'gold'; known: given, reference; the columns are given, reference; set --reference",
        ),
    ],
)
def test_what_cannot_be_graded_is_said_in_a_sentence(
    arguments: tuple[str, ...], said: str, thinkless_here: Thinkless, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "rows.jsonl", ROWS)
    answer = thinkless_here(tmp_path, "grade", *arguments)
    assert answer.code == 2
    assert said in answer.err
