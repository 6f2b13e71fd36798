"""Records of a table in memory: the same as those that are read one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.records.problems import Problem, ProblemSplit
from tasks.running.parquet_files import read_records, write_table
from tasks.running.record_table import RecordTable

SPLITS = (ProblemSplit.RL, ProblemSplit.SFT, ProblemSplit.RL)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    rows = (
        Problem(
            problem_id=f"p{number}",
            prompt=f"\u00e4 {number}",
            answer="1",
            difficulty=number if number % 2 else None,
            split=SPLITS[number % 3],
            benchmark="b" if number % 5 else None,
            source="s",
        )
        for number in range(25_000)
    )
    write_table(tmp_path, Problem, rows)
    return tmp_path / Problem.FILE


def test_a_table_gives_the_records_of_the_file(path: Path) -> None:
    expected = read_records(path, Problem, where=[("split", "rl")])
    table = RecordTable.read(path, Problem, where=("split", ProblemSplit.RL))
    assert list(table) == expected
    assert [table[0], table[-1], table[12_345]] == [expected[0], expected[-1], expected[12_345]]
    assert list(table[9_990:10_010]) == expected[9_990:10_010]
    assert table[9_990:10_010][3] == expected[9_993]
    with pytest.raises(IndexError):
        table[len(expected)]
