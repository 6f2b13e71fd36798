"""What the fields of a source give: answers that cannot be extracted, subjects, nested fields, recorded traces."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from schemas.configs.problems import LocalSource
from schemas.configs.recorded_teachers import RecordedTeacher
from schemas.errors import SourceError
from schemas.mode import Mode
from tests.problem_rows import GOOD, read, write
from tests.specimens import make_problem
from thinkless_core.problems.problem_sources import read_source


def test_a_few_rows_without_an_answer_are_dropped_and_listed_with_their_place(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{i}", "answer": "1"} for i in range(98)]
    path = write(tmp_path / "p.jsonl", [*rows, {"prompt": "q", "answer": None}, {"prompt": "r", "answer": "so ####"}])
    found = read_source(LocalSource(path=str(path), max_unreadable_share=0.02), name="train", seed=0)
    assert len(found.problems) == 98
    assert [(row.where, row.reason) for row in found.unreadable] == [
        (f"{path}, line 99", "the problem has no answer (column 'answer' is None)"),
        (f"{path}, line 100", "the problem has an empty answer (nothing after ####)"),
    ]


def test_more_than_the_allowed_share_stops_the_run_and_names_the_first(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{i}", "answer": "no mark" if i % 2 else "#### 1"} for i in range(10)]
    path = write(tmp_path / "p.jsonl", rows)
    with pytest.raises(SourceError) as caught:
        read(path, answer_format="mark", max_unreadable_share=0.4)
    said = ("5 of 10 answers", "max_unreadable_share=0.4", "line 2: the problem has no ####", "'no mark'", "2 more")
    assert [part for part in said if part not in str(caught.value)] == []
    assert len(read(path, answer_format="mark", max_unreadable_share=0.5)) == 5


def test_a_source_without_a_single_readable_answer_is_refused_whatever_the_share(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", GOOD)
    with pytest.raises(SourceError, match=r"2 of 2 answers cannot be extracted.*no \\boxed"):
        read(path, answer_format="boxed", max_unreadable_share=1.0)


# Subjects and traces

MIXED = (
    {"prompt": "a", "answer": "1", "unique_id": "test/algebra/1.json"},
    {"prompt": "g", "answer": "2", "unique_id": "test/geometry/2.json"},
    {"prompt": "b", "answer": "3", "unique_id": "test/algebra/3.json"},
)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_subject_keeps_its_own_rows_and_the_limit_counts_those(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"p{suffix}", MIXED)
    assert [p for p, *_ in read(path, subject_field="unique_id", subject="Algebra")] == ["a", "b"]
    assert [p for p, *_ in read(path, subject_field="unique_id", subject="algebra", limit=1)] == ["a"]


def test_a_subject_nobody_has_is_refused_with_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", MIXED)
    with pytest.raises(SourceError, match=r"no row has subject 'geomtry'; did you mean 'geometry'\?"):
        read(path, subject_field="unique_id", subject="geomtry")
    with pytest.raises(ValueError, match="subject='algebra' needs subject_field"):
        LocalSource(path="p.jsonl", subject="algebra")


def test_a_field_inside_another_is_reached_by_points(tmp_path: Path) -> None:
    rows = [{"talk": [{"from": "user", "value": "q"}, {"from": "assistant", "value": "It is \\boxed{7}."}]}]
    for suffix in (".json", ".parquet"):
        path = write(tmp_path / f"p{suffix}", rows)
        fields = {"prompt_field": "talk.0.value", "answer_field": "talk.-1.value", "answer_format": "boxed"}
        assert read(path, **fields) == [("q", "7", None)]


def test_recorded_traces_become_think_completions_and_of_several_the_first_correct_one(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    rows = [
        {"prompt": "one", "traces": ["<think>w</think>4", "<think>\nr\n</think>\n\n5"], "right": [False, True]},
        {"prompt": "none right", "traces": ["<think>w</think>4"], "right": [False]},
        {"prompt": "never ends", "traces": ["<think>w"], "right": [True]},
        {"prompt": "not checked", "traces": ["<think>w</think>4"], "right": None},
    ]
    for suffix in (".jsonl", ".parquet"):
        path = write(tmp_path / f"p{suffix}", rows)
        source = LocalSource(path=str(path), trace_field="traces", trace_correct_field="right")
        teacher = RecordedTeacher(source=source).build(tokenizer=tokenizer)
        problems = [make_problem(str(row["prompt"]), answer="5") for row in rows]
        good, *without = teacher.answer(problems, mode=Mode.THINK, max_tokens=99, seed=0)
        assert good.text == "r</think>5"
        assert [reply.reason for reply in without] == ["marked_wrong", "reasoning_not_ended", "not_checked"]


def test_traces_without_their_field_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", GOOD)
    with pytest.raises(SourceError, match=r"p\.jsonl names no trace_field"):
        list(LocalSource(path=str(path)).traces())
    with pytest.raises(SourceError, match=r"line 1: no column 'trace'.*set trace_field"):
        list(LocalSource(path=str(path), trace_field="trace").traces())
    with pytest.raises(SourceError, match="expected one truth value for each of the 1 traces"):
        list(LocalSource(path=str(path), trace_field="prompt", trace_correct_field="answer").traces())
