"""The set of a run, put together from its sources: distinct, decontaminated, split; and what was left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from schemas.configs.problems import LocalSource, ProblemsConfig, ProceduralSource
from schemas.errors import SourceError
from schemas.records.problems import ProblemSplit
from tests.problem_rows import GOOD, local, write
from tests.real_data import real_data
from thinkless_core.problems.problem_set import build_problem_set, normalise, problem_id


def test_spellings_of_one_text_are_one_problem() -> None:
    assert normalise("  a\u0301 \n b\t ") == "\u00e1 b"
    assert problem_id("train", "x") == problem_id("train", "x") != problem_id("bench", "x")


DRAWING = 'Find $AB$.\n[asy]\ndraw((0,0)--(1,1)); % a line\n  label("$A$",(0,0));\n[/asy]'


@pytest.mark.parametrize(
    "text",
    [
        DRAWING,
        "one  two\n\n\tthree",
        "a\r\nb",
        "\\begin{tabular}{c}\n 1 & 2 \\\\\n\\end{tabular}",
        "a\u00a0b\u2003c",
        "a\u0301",
    ],
)
def test_a_prompt_keeps_its_lines_and_spaces_and_is_known_without_them(tmp_path: Path, text: str) -> None:
    rows = [{"prompt": f"p{i}", "answer": "1"} for i in range(9)]
    kept, flat = (f"{text} ", normalise(text))
    made = build_problem_set(
        ProblemsConfig(
            source=local(
                tmp_path / "train.jsonl", [*rows, {"prompt": kept, "answer": "1"}, {"prompt": flat, "answer": "1"}]
            ),
            benchmarks={"bench": local(tmp_path / "bench.jsonl", [{"prompt": f"\n{text}, too", "answer": "1"}])},
            ngram_words=0,
        )
    )
    assert made.drops["duplicate"] == 1, "the same problem, written flat"
    (found,) = (p for p in made.problems if p.question == text)
    assert found.problem_id == problem_id(found.split, flat), "ids are those of earlier versions"
    assert [p.prompt for p in made.problems if p.benchmark] == [f"{text}, too"]


def test_a_problem_written_otherwise_is_not_taught_and_tested(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{i}\nq", "answer": "1"} for i in range(6)]
    flat = [{"prompt": " ".join(row["prompt"].split()), "answer": "1"} for row in rows]
    made = build_problem_set(
        ProblemsConfig(
            source=local(tmp_path / "train.jsonl", rows[:4]),
            rl_source=local(tmp_path / "rl.jsonl", flat[1:]),
            benchmarks={"bench": local(tmp_path / "bench.jsonl", flat[:1])},
        )
    )
    assert (made.drops["contaminated"], made.drops["rl_problem_taught_in_sft"]) == (1, 3)
    assert [p.prompt for p in made.problems if p.split is ProblemSplit.RL] == ["p4 q", "p5 q"]


def test_the_problems_of_math500_are_asked_as_they_are_written(tmp_path: Path) -> None:
    source = LocalSource(path=str(real_data("math500.json")), prompt_field="problem")
    bench = {"bench": local(tmp_path / "bench.jsonl", GOOD)}
    made = build_problem_set(ProblemsConfig(source=source, benchmarks=bench))
    written = {row["problem"].strip() for row in json.loads(real_data("math500.json").read_text())}
    asked = {p.prompt for p in made.problems if p.split is not ProblemSplit.TEST}
    assert asked == written
    assert sum("\n" in text or "  " in text for text in asked) == 216
    assert made.notes == []


def test_duplicates_and_contaminated_problems_are_dropped_and_counted(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{i}", "answer": "1"} for i in range(10)]
    training = [*rows, {"prompt": " p3 ", "answer": "1"}, {"prompt": "p4", "answer": "2"}]
    benchmark = [{"prompt": "p0", "answer": "1"}, {"prompt": "p1\n", "answer": "1"}, {"prompt": "b", "answer": "1"}]
    config = ProblemsConfig(
        source=local(tmp_path / "train.jsonl", training),
        benchmarks={"bench": local(tmp_path / "bench.jsonl", benchmark)},
        rl_share=0.25,
        max_conflict_share=0.1,
    )
    made = build_problem_set(config)
    assert made.drops == {
        "duplicate": 1,  # p3; p4 has another answer the second time
        "conflict": 1,
        "contaminated": 2,
    }
    by_split = {split: [p for p in made.problems if p.split is split] for split in ProblemSplit}
    assert sorted(p.prompt for p in by_split[ProblemSplit.TEST]) == ["b", "p0", "p1"]
    assert (len(by_split[ProblemSplit.RL]), len(by_split[ProblemSplit.SFT])) == (2, 6)
    assert len({p.problem_id for p in made.problems}) == len(made.problems)
    assert [(row.reason, row.prompt) for row in made.dropped] == [
        ("duplicate", "p3"),
        ("conflict", "p4"),
        ("contaminated", "p0"),
        ("contaminated", "p1"),
    ]
    assert made.dropped[0].problem_id == problem_id("train", "p3")
    assert made.dropped[1].detail == f"answer 2; {tmp_path / 'train.jsonl'}, line 5 has 1, which is kept"
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
    assert made.drops == {
        "duplicate": 1,
        "contaminated": 2,
        "rl_problem_taught_in_sft": 2,
    }
    taught = [row for row in made.dropped if row.reason == "rl_problem_taught_in_sft"]
    assert [(row.problem_id, row.source, row.detail) for row in taught] == [
        (
            problem_id("rl", f"p{i}"),
            f"{tmp_path / 'rl.jsonl'}, line {i - 1}",
            f"the same as {problem_id('sft', f'p{i}')}, {tmp_path / 'sft.jsonl'}, line {i + 1}",
        )
        for i in (2, 3)
    ]
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
    first, again, other = ([*made.problems, *made.dropped] for made in map(build_problem_set, make))
    assert first == again
    assert first != other


def test_unreadable_answers_are_counted_in_the_set_of_a_run(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{i}", "answer": "1" if i else None} for i in range(10)]
    source = LocalSource(path=str(write(tmp_path / "p.jsonl", rows)), max_unreadable_share=0.1)
    made = build_problem_set(ProblemsConfig(source=source, benchmarks={"b": local(tmp_path / "b.jsonl", GOOD)}))
    assert made.drops["unreadable_answer"] == len(made.unreadable) == 1
    (row,) = made.dropped
    assert (row.problem_id, row.prompt, row.detail) == (None, None, made.unreadable[0].reason)
