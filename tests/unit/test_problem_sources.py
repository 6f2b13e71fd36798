"""Problems: procedural chains, local files good and bad, and the set of a run put together from them."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.configs.problems import LocalSource, ProblemsConfig, ProceduralSource
from schemas.errors import ConfigError, SourceError
from schemas.records import ProblemSplit
from thinkless_core.problem_set import build_problem_set, normalise, problem_id
from thinkless_core.problem_sources import read_source
from thinkless_core.procedural import draw_distinct_chains, work_out
from thinkless_core.seeding import random_stream

GOOD = ({"prompt": "11+22=?", "answer": "3"}, {"prompt": "11+33=?", "answer": "4"})


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """Rows in the format of the file's ending."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([dict(r) for r in rows]), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(list(rows)))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path, **settings: object) -> list[tuple[str, str, int | None]]:
    """(prompt, answer, difficulty) of every problem in a file."""
    problems = read_source(LocalSource(path=str(path), **settings), name="train", seed=0)
    return [(p.prompt, p.answer, p.difficulty) for p in problems]


# Procedural chains


@pytest.mark.parametrize(
    ("prompt", "steps", "answer"),
    [
        ("37+48=?", ["7+8=5"], "5"),
        ("37+48*12=?", ["7+8=5", "5*2=0"], "0"),  # from left to right, not by precedence
        ("11-19=?", ["1-9=2"], "2"),  # -8 modulo 10
        ("99*99*99=?", ["9*9=1", "1*9=9"], "9"),
        ("5+5=?", ["5+5=0"], "0"),
    ],
)
def test_a_chain_is_worked_out_from_left_to_right_modulo_ten(prompt: str, steps: list[str], answer: str) -> None:
    working = work_out(prompt)
    assert working is not None
    assert (list(working.steps), working.answer) == (steps, answer)


@pytest.mark.parametrize("prompt", ["", "37=?", "37+48", "37+=?", "+37+48=?", "37/48=?", "x+1=?", "37+48=? ", "1+2=?3"])
def test_what_is_no_chain_is_not_worked_out(prompt: str) -> None:
    assert work_out(prompt) is None


def test_chains_are_distinct_avoid_what_is_taken_and_follow_the_mix() -> None:
    first = draw_distinct_chains(random_stream("a"), num_problems=300, mix=[0.5, 0.0, 0.5])
    taken = frozenset(text for text, _ in first)
    second = draw_distinct_chains(random_stream("a"), num_problems=300, mix=[0.5, 0.0, 0.5], taken=taken)
    assert len(taken) == 300
    assert taken.isdisjoint(text for text, _ in second)
    for text, difficulty in first:
        working = work_out(text)
        assert working is not None
        assert len(working.steps) == difficulty
    # Half of 300, within 4 standard deviations (8.7 each).
    assert {d for _, d in first} == {1, 3}
    assert abs(sum(d == 1 for _, d in first) - 150) < 35


def test_problems_that_run_out_are_an_error() -> None:
    taken = frozenset(f"{a}{o}{b}=?" for a in range(10, 100) for b in range(10, 100) for o in "+-*")
    with pytest.raises(ConfigError, match=r"1 operation\(s\) run out: 0 of 5 made; lower num_problems"):
        draw_distinct_chains(random_stream("a"), num_problems=5, mix=[1.0], taken=taken)


def test_a_procedural_source_gives_the_same_problems_for_the_same_name_and_seed() -> None:
    source = ProceduralSource(num_problems=20, mix=(0.5, 0.5))
    first = read_source(source, name="train", seed=1)
    assert read_source(source, name="train", seed=1) == first
    assert read_source(source, name="train", seed=2) != first
    assert read_source(source, name="bench", seed=1) != first


# Local files


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


# The set of a run


def local(path: Path, rows: Sequence[Mapping[str, object]]) -> LocalSource:
    return LocalSource(path=str(write(path, rows)))


def test_spellings_of_one_text_are_one_problem() -> None:
    assert normalise("  a\u0301 \n b\t ") == "\u00e1 b"
    assert problem_id("train", "x") == problem_id("train", "x") != problem_id("bench", "x")


def test_duplicates_and_contaminated_problems_are_dropped_and_counted(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{i}", "answer": "1"} for i in range(10)]
    training = [*rows, {"prompt": " p3 ", "answer": "1"}, {"prompt": "p4", "answer": "2"}]
    benchmark = [{"prompt": "p0", "answer": "1"}, {"prompt": "p1\n", "answer": "1"}, {"prompt": "b", "answer": "1"}]
    config = ProblemsConfig(
        source=local(tmp_path / "train.jsonl", training),
        benchmarks={"bench": local(tmp_path / "bench.jsonl", benchmark)},
        rl_share=0.25,
    )
    made = build_problem_set(config)
    assert made.drops == {"duplicate": 2, "contaminated": 2}
    by_split = {split: [p for p in made.problems if p.split is split] for split in ProblemSplit}
    assert sorted(p.prompt for p in by_split[ProblemSplit.TEST]) == ["b", "p0", "p1"]
    assert (len(by_split[ProblemSplit.RL]), len(by_split[ProblemSplit.SFT])) == (2, 6)
    assert len({p.problem_id for p in made.problems}) == len(made.problems)
    assert {p.answer for p in made.problems if p.prompt == "p4"} == {"1"}, "the first of each text is kept"
    assert all((p.benchmark == "bench") == (p.split is ProblemSplit.TEST) for p in made.problems)


def test_a_source_for_rl_alone_gives_problems_that_sft_and_benchmarks_do_not_hold(tmp_path: Path) -> None:
    def rows(*numbers: int) -> list[dict[str, str]]:
        return [{"prompt": f"p{i}", "answer": "1"} for i in numbers]

    config = ProblemsConfig(
        source=local(tmp_path / "sft.jsonl", rows(0, 1, 2, 3)),
        rl_source=local(tmp_path / "rl.jsonl", rows(2, 3, 4, 5, 6, 6)),
        benchmarks={"bench": local(tmp_path / "bench.jsonl", rows(0, 4, 9))},
    )
    made = build_problem_set(config)
    by_split = {split: sorted(p.prompt for p in made.problems if p.split is split) for split in ProblemSplit}
    assert by_split == {
        ProblemSplit.TEST: ["p0", "p4", "p9"],
        ProblemSplit.SFT: ["p1", "p2", "p3"],
        ProblemSplit.RL: ["p5", "p6"],
    }
    # p6 twice; p0 of sft and p4 of rl stand in the benchmark; p2 and p3 were taught.
    assert made.drops == {"duplicate": 1, "contaminated": 2, "rl_problem_taught_in_sft": 2}
    assert len({p.problem_id for p in made.problems}) == len(made.problems)


def test_nothing_left_to_train_on_is_an_error(tmp_path: Path) -> None:
    source = local(tmp_path / "p.jsonl", GOOD)
    with pytest.raises(SourceError, match="no training problems are left of 2: each stands in a benchmark"):
        build_problem_set(ProblemsConfig(source=source, benchmarks={"same": source}))


def test_a_split_without_a_problem_is_an_error(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{i}", "answer": "1"} for i in range(4)]
    bench = {"bench": local(tmp_path / "bench.jsonl", [{"prompt": "b", "answer": "1"}])}
    source = local(tmp_path / "p.jsonl", rows)
    for config, empty in (
        # a tenth of four problems is none; nine tenths of four are all
        (ProblemsConfig(source=source, benchmarks=bench, rl_share=0.1), "rl"),
        (ProblemsConfig(source=source, benchmarks=bench, rl_share=0.9), "sft"),
        (ProblemsConfig(source=source, benchmarks=bench, rl_source=source), "rl"),  # all were taught in SFT
    ):
        with pytest.raises(SourceError, match=rf"no problems are left for split {empty} .*change problems\.rl_share"):
            build_problem_set(config)


def test_the_same_configuration_gives_the_same_set_and_another_seed_another() -> None:
    source = ProceduralSource(num_problems=40, mix=(0.5, 0.5))
    make = [ProblemsConfig(source=source, benchmarks={"b": source}, seed=seed) for seed in (0, 0, 1)]
    first, again, other = (build_problem_set(config) for config in make)
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("file", "prompt_field", "answer_field", "count"),
    [("gsm8k_test.jsonl", "question", "answer", 1319), ("math500.json", "problem", "answer", 500)],
)
def test_real_data_sets_are_read_as_they_are(file: str, prompt_field: str, answer_field: str, count: int) -> None:
    folder = os.environ.get("THINKLESS_TEST_DATA")
    if not folder or not (Path(folder) / file).exists():
        pytest.skip(f"THINKLESS_TEST_DATA names no folder with {file}")
    problems = read(Path(folder) / file, prompt_field=prompt_field, answer_field=answer_field)
    assert len(problems) == count
    assert all("####" not in answer for _, answer, _ in problems)
