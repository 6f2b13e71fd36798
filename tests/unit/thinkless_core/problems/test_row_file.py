"""Rows in a file, read back in any order; the texts that repeat an earlier one; and the memory all this needs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from schemas.configs.source import SourceProblem
from schemas.records.problems import Problem, ProblemSplit
from tests.fast_and_slow import fast_and_slow
from tests.peak_memory import needs_its_peak, peak_memory
from thinkless_core.problems.repeats import DigestList, first_of_each
from thinkless_core.rows import RowFile, RowsAt
from thinkless_core.seeding import random_stream


def test_rows_come_back_as_they_were_while_more_are_written(tmp_path: Path) -> None:
    rows = RowFile[SourceProblem](tmp_path)
    expected = [SourceProblem(f"\u00e4{number}\n" * number, str(number), number) for number in range(50)]
    for number, row in enumerate(expected):
        rows.append(row)
        assert rows[-1] == row
        assert rows[number // 2] == expected[number // 2]
    assert list(rows) == expected
    assert list(rows[3:7]) == expected[3:7]
    assert [list(RowsAt(rows, [4, 1, 4])), RowsAt(rows, np.arange(9))[2]] == [
        [expected[i] for i in (4, 1, 4)],
        expected[2],
    ]
    with pytest.raises(IndexError):
        rows[50]
    assert not list(tmp_path.iterdir()), "the file has no name, so a killed process leaves none"


def test_a_record_comes_back_whole() -> None:
    rows = RowFile[Problem]()
    problem = Problem(
        problem_id="p", prompt="q", answer="1", difficulty=None, split=ProblemSplit.RL, benchmark=None, source="s"
    )
    rows.append(problem)
    assert rows[0] == problem
    assert rows[0].model_fields_set == problem.model_fields_set


@pytest.mark.parametrize("num_texts", [1, 2, 300])
def test_the_first_of_each_is_what_a_dictionary_finds(num_texts: int) -> None:
    drawn = [f"t{number}" for number in random_stream("repeats").integers(num_texts, size=400)]
    digests, first = DigestList(), dict[str, int]()
    for place, text in enumerate(drawn):
        digests.add(text)
        first.setdefault(text, place)
    assert first_of_each(digests.array()).tolist() == [first[text] for text in drawn]


SET = """
import sys
from pathlib import Path
from schemas.configs.problems import LocalSource, ProblemsConfig
from thinkless_core.problems.problem_set import build_problem_set
file = Path(sys.argv[1])
source = LocalSource(path=str(file))
bench = LocalSource(path=str(file), limit=10)
config = ProblemsConfig(source=source, benchmarks={"b": bench}, rl_share=0.5, max_conflict_share=1)
made = build_problem_set(config, folder=file.parent)
assert made.conflicts and made.removed
print(sum(1 for rows in (made.problems, made.dropped, made.removed, made.conflicts) for row in rows))
"""


@needs_its_peak
@pytest.mark.parametrize("most", fast_and_slow([10_000], [100_000]))
def test_memory_does_not_grow_with_the_number_of_problems(most: int, tmp_path: Path) -> None:
    peaks = []
    for num_rows in (most // 10, most):
        path = tmp_path / f"{num_rows}.jsonl"
        with path.open("w") as file:
            for number in range(num_rows):
                # Every third row repeats the one before it; some of these contradict it, too.
                text = number - (number % 3 == 2)
                prompt = " ".join(str(text * factor % 99991) for factor in range(1, 180))
                file.write(json.dumps({"prompt": prompt, "answer": str(number % 9 == 8)}) + "\n")
        peaks.append(peak_memory(SET, path))
    assert peaks[1] < 1.1 * peaks[0], peaks
