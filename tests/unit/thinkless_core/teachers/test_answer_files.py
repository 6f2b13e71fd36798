"""Recorded answers on disk: found by question and mode, in their order, by whoever opens the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.configs.source import RecordedAnswer
from schemas.mode import Mode
from thinkless_core.teachers.answer_files import AnswerFiles

ROWS = [
    ("1 + 1", RecordedAnswer("2", "one\nand one")),
    ("2 + 2", RecordedAnswer("4", mode=Mode.SHORT)),
    ("1  +\n1", RecordedAnswer("zw\u00f6lf \ud800", finished=False, fault="empty")),
    ("2 + 2", RecordedAnswer("four", mode=Mode.THINK)),
    ("2 + 2", RecordedAnswer("IV")),
]


@pytest.mark.parametrize("folder", ["kept", None])
def test_answers_come_back_as_they_were_in_their_order_those_for_the_mode_first(
    folder: str | None, tmp_path: Path
) -> None:
    files = AnswerFiles.of(iter(ROWS), folder and tmp_path / folder)
    assert files.find("1 + 1", Mode.THINK) == [ROWS[0][1], ROWS[2][1]]
    assert files.find("2 + 2", Mode.THINK) == [ROWS[3][1], ROWS[4][1]]
    assert files.find("2 + 2", Mode.SHORT) == [ROWS[1][1], ROWS[4][1]]
    assert files.find("3 + 3", Mode.SHORT) == []
    assert files.num_bytes("3 + 3") == 0
    assert files.num_bytes("1 + 1") > len("2one\nand one")
    files.close()


def test_rows_are_written_once_and_found_by_the_next(tmp_path: Path) -> None:
    AnswerFiles.of(iter(ROWS), tmp_path).close()
    found = AnswerFiles.of(iter([]), tmp_path)
    assert found.find("1 + 1", Mode.THINK) == [ROWS[0][1], ROWS[2][1]]
    found.close()


def test_a_recording_without_rows_holds_no_answer(tmp_path: Path) -> None:
    files = AnswerFiles.of(iter([]), tmp_path)
    assert files.find("1 + 1", Mode.THINK) == []
    files.close()


def test_many_questions_are_told_apart(tmp_path: Path) -> None:
    files = AnswerFiles.of(((f"{n}", RecordedAnswer(f"{n} times")) for n in range(3000)), tmp_path)
    for n in range(3000):  # among these digests some end in a zero byte
        assert [answer.text for answer in files.find(f"{n}", Mode.THINK)] == [f"{n} times"]
    files.close()
