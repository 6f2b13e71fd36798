"""Recordings in the layouts of public data sets: two fields, messages, several generations; and what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from transformers import PreTrainedTokenizerFast

from schemas.configs.recorded_teachers import RecordedTeacher
from schemas.configs.teacher import TeacherConfig
from schemas.errors import TeacherError
from schemas.mode import Mode
from tests.problem_rows import local, write
from tests.specimens import make_problem
from thinkless_core.teachers.asking import DroppedAnswer, ask_teacher

QUESTION = "11+22=?"
"""The answer is 3."""
GOOD, WRONG, OPEN = "<think>1+2</think>3", "<think>1+2</think>4", "<think>1+2+"


def think(
    teacher: TeacherConfig, tokenizer: PreTrainedTokenizerFast, *questions: str
) -> tuple[list[str], list[tuple[str, str]]]:
    """The think completions to the questions, and the (reason, text) of those that are dropped."""
    dropped: list[DroppedAnswer] = []
    problems = [make_problem(question, answer="3") for question in questions or (QUESTION,)]
    built = teacher.build(tokenizer=tokenizer)
    answers = ask_teacher(built, problems, mode=Mode.THINK, max_tokens=99, seed=0, on_drop=dropped.append)
    built.close()
    return [a.completion for a in answers], [(d.reason, d.text) for d in dropped]


LAYOUTS = {
    "tags": {"completion": GOOD},
    "begin_of_thought": {
        "completion": "<|begin_of_thought|>1+2<|end_of_thought|><|begin_of_solution|>3<|end_of_solution|>"
    },
    "DeepSeek's endpoint": {"completion": "3", "reasoning_content": "1+2"},
    "OpenRouter's": {"completion": "3", "reasoning": "1+2"},
    "Dolphin-R1": {"reasoning": "1+2", "answer": "3"},
    "s1K": {"thinking_trajectories": ["1+2"], "attempt": "3"},
    "a thought both ways": {"completion": GOOD, "reasoning_content": "1+2"},
    "a message": {"completion": {"role": "assistant", "content": "3", "reasoning_content": "1+2"}},
    "a conversation": {
        "completion": [
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": "3", "thinking": "1+2"},
        ]
    },
    "ShareGPT": {"completion": [{"from": "human", "value": QUESTION}, {"from": "gpt", "value": GOOD}]},
    "blocks": {"completion": [{"type": "thinking", "thinking": "1+2"}, {"type": "text", "text": "3"}]},
    "Mistral's blocks": {
        "completion": {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "1+2"}]},
                {"type": "text", "text": "3"},
            ]
        }
    },
    "generations": {"generations": [OPEN, WRONG, GOOD]},
    "completions with thoughts": {"completions": ["4", "3"], "reasoning_content": ["1+3", "1+2"]},
    "messages": {"completion": [{"content": "4", "reasoning": "x"}, {"content": "3", "reasoning": "1+2"}]},
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("ending", ["jsonl", "json"])
def test_a_recording_is_read_in_every_layout(
    name: str, ending: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    path = write(tmp_path / f"r.{ending}", [{"prompt": QUESTION, **LAYOUTS[name]}])
    assert think(RecordedTeacher(path=str(path)), tokenizer) == ([GOOD], [])


FIELDS = {
    "s1K-1.1": ({"deepseek_thinking_trajectory": "1+2", "deepseek_attempt": "3"}, "deepseek_attempt"),
    "OpenThoughts-114k": ({"deepseek_reasoning": "1+2", "deepseek_solution": "3"}, "deepseek_solution"),
    "medical-o1": ({"Complex_CoT": "1+2", "Response": "3"}, "Response"),
    "nested": ({"info": {"think": "1+2", "answer": "3"}}, "info.answer"),
}


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_data_set_with_thoughts_and_answers_in_two_fields_is_replayed(
    name: str, ending: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    row, answers = FIELDS[name]
    thoughts = "info.think" if name == "nested" else next(iter(row))
    source = local(tmp_path / f"rows.{ending}", [{"prompt": QUESTION, "answer": "3", **row}])
    teacher = RecordedTeacher(source=source, completion_field=answers, thinking_field=thoughts)
    assert think(teacher, tokenizer) == ([GOOD], [])


SEVERAL = {
    "the right one": ([WRONG, GOOD], [GOOD], None),
    "the first right one": ([WRONG, "<think>a</think>3", GOOD], ["<think>a</think>3"], None),
    "the first complete one if none is right": ([OPEN, WRONG, "<think>1</think>5"], [WRONG], None),
    "an only one, though it is wrong": ([WRONG], [WRONG], None),
    "none complete": ([OPEN, OPEN], [], "reasoning_not_ended"),
    "none": ([], [], "empty"),
    "nothing in them": ([None, ""], [], "empty"),
    "nothing in the first": ([None, GOOD], [GOOD], None),
}


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize("in_rows", [False, True])
def test_of_several_generations_the_first_good_one_is_taken(
    name: str, in_rows: bool, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    generations, completions, reason = SEVERAL[name]
    held: list[object] = [*generations] if in_rows and generations else [generations]
    rows = [{"prompt": QUESTION, "answer": "3", "completion": one} for one in held]
    path = write(tmp_path / "rows.jsonl", rows)
    source = local(tmp_path / "source.jsonl", rows)
    for teacher in (RecordedTeacher(path=str(path)), RecordedTeacher(source=source, completion_field="completion")):
        answers, dropped = think(teacher, tokenizer)
        assert answers == completions
        assert [why for why, _ in dropped] == ([] if reason is None else [reason])


def test_each_problem_without_a_recording_has_its_true_cause(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    rows = [
        {"prompt": "1=?", "answer": "3", "trace": None, "right": [True]},
        {"prompt": "2=?", "answer": "3", "trace": [OPEN], "right": [True]},
        {"prompt": "3=?", "answer": "3", "trace": [GOOD], "right": [False]},
        {"prompt": "4=?", "answer": "3", "trace": ["<plan>1+2</plan>3"], "right": [True]},
        {"prompt": "5=?", "answer": "3", "trace": ["<think>1+2</think>"], "right": [True]},
        {"prompt": "6=?", "answer": "3", "trace": [GOOD], "right": None},
    ]
    source = local(tmp_path / "rows.jsonl", rows).model_copy(
        update={"trace_field": "trace", "trace_correct_field": "right"}
    )
    _, dropped = think(RecordedTeacher(source=source), tokenizer, *(f"{n}=?" for n in range(1, 8)))
    assert [reason for reason, _ in dropped] == [
        "empty", "reasoning_not_ended", "marked_wrong", "unknown_notation:<plan>", "no_answer", "not_checked",
        "not_recorded",
    ]  # fmt: skip
    assert dropped[-1][1] == "(no row of rows.jsonl asks this question)"


def test_a_recording_of_ones_own_says_why_a_problem_is_missing(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    rows = [{"prompt": QUESTION, "completion": "3", "mode": "short"}, {"prompt": "4=?", "completion": ""}]
    teacher = RecordedTeacher(path=str(write(tmp_path / "r.jsonl", rows)))
    with pytest.raises(TeacherError, match=r"holds no think completion .*the question is there for mode short alone"):
        think(teacher, tokenizer, QUESTION)
    with pytest.raises(TeacherError, match=r"holds no think completion .*the file does not have the question; record"):
        think(teacher, tokenizer, "5=?")
    assert think(teacher, tokenizer, "4=?") == ([], [("empty", "")])


BAD_ROWS = {
    "another column": ({"prompt": "x", "text": "y"}, r"line 1: no column 'completion', the columns are prompt, text"),
    "a reference answer is no completion": ({"prompt": "x", "answer": "y"}, r"no column 'completion'.*source=\{kind="),
    "a list of numbers": (
        {"prompt": "x", "completion": [1, 2]},
        r"line 1: the answer is 1, no object with text in prompt and completion",
    ),
    "a thought that is a number": ({"prompt": "x", "completion": "3", "reasoning": 5}, r"the thought is 5"),
    "more thoughts": ({"prompt": "x", "completion": ["3"] * 2, "reasoning": ["1"] * 3}, r"2 answers and 3 thoughts"),
    "more finish reasons": (
        {"prompt": "x", "completion": ["3"] * 2, "finish_reason": ["stop"]},
        r"1 finish reasons for 2 answers",
    ),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_row_that_cannot_be_read_is_refused_with_its_place(
    name: str, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    row, said = BAD_ROWS[name]
    path = write(tmp_path / "r.jsonl", [row])
    with pytest.raises(TeacherError, match=said) as caught:
        think(RecordedTeacher(path=str(path)), tokenizer)
    assert "r.jsonl, line 1" in str(caught.value)


def test_a_path_may_begin_at_home_and_an_address_is_refused(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "r.jsonl").write_text(json.dumps({"prompt": QUESTION, "completion": GOOD}), encoding="utf-8")
    assert think(RecordedTeacher(path="~/r.jsonl"), tokenizer) == ([GOOD], [])
    with pytest.raises(ValidationError, match=r"'https://x\.org/r\.jsonl' is an address; download it"):
        RecordedTeacher(path="https://x.org/r.jsonl")


def test_a_thinking_field_belongs_to_the_think_side_of_a_data_set(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="thinking_field names a field of source"):
        RecordedTeacher(path="r.jsonl", thinking_field="reasoning")
    source = local(tmp_path / "rows.jsonl", [{"prompt": "x", "answer": "y"}])
    with pytest.raises(ValueError, match="a short answer has no reasoning"):
        RecordedTeacher(source=source, completion_field="answer", thinking_field="t").refuse_mode(Mode.SHORT)
