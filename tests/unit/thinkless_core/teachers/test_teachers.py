"""Teachers: what is recorded about an answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from schemas.configs.recorded_teachers import RecordedTeacher
from schemas.configs.teach import ProceduralTeacher
from schemas.errors import TeacherError
from schemas.finish_reason import FinishReason
from schemas.mode import Mode
from schemas.records.generations import Generation
from tests.specimens import make_problem, make_problems
from thinkless_core.problems.problem_set import normalise
from thinkless_core.student.rendering import render_completion
from thinkless_core.teachers.asking import ask_teacher
from thinkless_core.teachers.chains import ChainTeacher
from thinkless_core.teachers.recorded_file import RecordingTeacher


def chain_teacher(tokenizer: PreTrainedTokenizerFast, *weights: float) -> ChainTeacher:
    return ProceduralTeacher(recheck_weights=weights or (1.0,)).build(tokenizer=tokenizer)


def test_a_procedural_teacher_writes_every_step_or_the_digit(tokenizer: PreTrainedTokenizerFast) -> None:
    problem = make_problem("37+48*12=?")
    teacher = chain_teacher(tokenizer)
    think, short = (ask_teacher(teacher, [problem], mode=m, max_tokens=64, seed=0)[0] for m in (Mode.THINK, Mode.SHORT))
    assert (think.completion, short.completion) == ("<think>7+8=5,5*2=0</think>0", "<short>0")
    for generation in (think, short):
        ids = render_completion(tokenizer, generation.completion, finished=True)
        assert generation.num_tokens == len(ids)
        assert (generation.correct, generation.truncated, generation.answer) == (True, False, "0")


def test_long_answers_repeat_the_working_as_often_as_configured(tokenizer: PreTrainedTokenizerFast) -> None:
    problems = make_problems(200, mix=(1.0,))
    for weights, repeats in (((0.0, 0.0, 1.0), {3}), ((1.0,), {1}), ((0.5, 0.5), {1, 2})):
        answers = ask_teacher(chain_teacher(tokenizer, *weights), problems, mode=Mode.THINK, max_tokens=64, seed=0)
        assert {a.completion.count("=") for a in answers} == repeats
        assert all(a.correct for a in answers)


def test_the_same_problems_mode_and_seed_give_the_same_answers_in_any_company(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    problems = make_problems(30)
    teacher = chain_teacher(tokenizer, 0.4, 0.3, 0.3)
    together = ask_teacher(teacher, problems, mode=Mode.THINK, max_tokens=64, seed=0)
    alone = [ask_teacher(teacher, [p], mode=Mode.THINK, max_tokens=64, seed=0)[0] for p in problems[::-1]][::-1]
    assert together == alone
    assert ask_teacher(teacher, problems, mode=Mode.THINK, max_tokens=64, seed=1) != together


def test_an_answer_over_the_limit_is_cut_marked_and_wrong(tokenizer: PreTrainedTokenizerFast) -> None:
    problem = make_problem("37+48*12=?")
    whole = ask_teacher(chain_teacher(tokenizer), [problem], mode=Mode.THINK, max_tokens=64, seed=0)[0]
    exact = ask_teacher(chain_teacher(tokenizer), [problem], mode=Mode.THINK, max_tokens=whole.num_tokens, seed=0)[0]
    assert exact == whole
    for limit in range(2, whole.num_tokens):
        cut = ask_teacher(chain_teacher(tokenizer), [problem], mode=Mode.THINK, max_tokens=limit, seed=0)[0]
        assert (cut.truncated, cut.correct, cut.answer) == (True, False, None)
        assert cut.finish_reason is FinishReason.LENGTH
        assert cut.num_tokens == limit == len(render_completion(tokenizer, cut.completion, finished=False))
        assert whole.completion.startswith(cut.completion)


def test_a_problem_that_is_no_chain_needs_another_teacher(tokenizer: PreTrainedTokenizerFast) -> None:
    problem = make_problem("How many?", answer="7", name="p-odd")
    with pytest.raises(TeacherError, match=r"p-odd: .*'How many\?'; configure another teacher"):
        ask_teacher(chain_teacher(tokenizer), [problem], mode=Mode.SHORT, max_tokens=8, seed=0)


# Recordings


def recording(path: Path, *rows: object) -> RecordedTeacher:
    """A recording of these rows; text stands for a line as it is, bytes too."""
    lines = (row if isinstance(row, str | bytes) else json.dumps(row, ensure_ascii=False) for row in rows)
    path.write_bytes(b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines))
    return RecordedTeacher(path=str(path))


def replay(tmp_path: Path, tokenizer: PreTrainedTokenizerFast, *rows: object, prompt: str = "11+22=?") -> Generation:
    """What a recording of these rows answers to `prompt`, whose answer is 3."""
    teacher = RecordingTeacher(str(recording(tmp_path / "r.jsonl", *rows).path), tokenizer=tokenizer)
    problem = make_problem(normalise(prompt), answer="3")
    return ask_teacher(teacher, [problem], mode=Mode.SHORT, max_tokens=64, seed=0)[0]


def test_a_recording_is_looked_up_by_prompt_and_by_mode_where_it_names_one(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    config = recording(
        tmp_path / "r.jsonl",
        {"prompt": "11+22=?", "completion": "1+2=3</think>3", "mode": "think"},
        {"prompt": "11+22=?", "completion": "3", "mode": "short"},
        {"prompt": "11+33=?", "completion": "4"},
        {"prompt": "11+44=?", "completion": "1+4", "finish_reason": "length", "mode": "think"},
    )
    teacher = config.build(tokenizer=tokenizer)
    assert teacher.name == "recorded:r.jsonl"
    first, second, third = (make_problem(p) for p in ("11+22=?", "11+33=?", "11+44=?"))
    short = ask_teacher(teacher, [second, first], mode=Mode.SHORT, max_tokens=64, seed=0)
    assert [g.completion for g in short] == ["<short>4", "<short>3"]
    think = ask_teacher(teacher, [first, third], mode=Mode.THINK, max_tokens=64, seed=0)
    assert [(g.completion, g.correct, g.truncated) for g in think] == [
        ("<think>1+2=3</think>3", True, False),
        ("<think>1+4", False, True),
    ]
    cut = ask_teacher(teacher, [first], mode=Mode.THINK, max_tokens=5, seed=0)[0]
    assert (cut.completion, cut.truncated, cut.num_tokens) == ("<think>1+2=", True, 5)


BAD_RECORDINGS = {
    "a problem nobody recorded": (
        [{"prompt": "x", "completion": "y"}],
        ["p-11+22=?", "no short completion", "record it"],
    ),
    "not JSON": (["{"], ["r.jsonl, line 1", "not JSON"]),
    "no completion": ([{"prompt": "x", "completion": "y"}, {"prompt": "x"}], ["line 2", "no column 'completion'"]),
    "an unknown mode": (
        [{"prompt": "x", "completion": "y", "mode": "long"}],
        ["r.jsonl, line 1", "'long'", "modes: short, think"],
    ),
    "an unknown finish": (
        [{"prompt": "x", "completion": "y", "finish_reason": "eos"}],
        ["r.jsonl, line 1", "'eos'", "finish reasons: stop, length"],
    ),
    "a list": (["", "[1]"], ["r.jsonl, item 1", "holds 1", "object with text", "mend or drop the line"]),
    "a number": (["3"], ["r.jsonl, line 1", "holds 3", "object with text"]),
    "a prompt that is no text": ([{"prompt": 5, "completion": "y"}], ["line 1", "5", "no object with text in prompt"]),
    "a completion that is no text": (
        [{"prompt": "x", "completion": "y"}, {"prompt": "x", "completion": 3}],
        ["r.jsonl, line 2", "3", "no object with text in prompt and completion"],
    ),
    "bytes that are no text": ([b"\xff"], ["r.jsonl", "0xff", "check teach.*.teacher.path"]),
}


@pytest.mark.parametrize("name", BAD_RECORDINGS)
def test_a_bad_recording_is_refused_with_its_place(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, name: str
) -> None:
    rows, said = BAD_RECORDINGS[name]
    with pytest.raises(TeacherError) as caught:
        replay(tmp_path, tokenizer, *rows)
    missing = [part for part in said if part not in str(caught.value)]
    assert not missing, f"{missing} not in: {caught.value}"


def test_blank_lines_in_a_recording_are_no_rows_and_white_space_around_a_completion_is_none_of_it(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    generation = replay(tmp_path, tokenizer, "", {"prompt": "11+22=?", "completion": " 3\n"}, "  ", "")
    assert (generation.completion, generation.correct) == ("<short>3", True)


def test_a_line_separator_inside_a_recorded_text_ends_no_line(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    generation = replay(tmp_path, tokenizer, {"prompt": "11+22=?", "completion": "3\u2028\\boxed{3}"})
    assert (generation.completion, generation.correct) == ("<short>3\u2028\\boxed{3}", True)


def test_a_recorded_prompt_is_found_however_its_white_space_is_written(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    for written in ("How  many\napples?", " How many apples? ", "How many apples?"):
        for asked in ("How many apples?", "How\tmany apples? "):
            assert replay(tmp_path, tokenizer, {"prompt": written, "completion": "3"}, prompt=asked).correct


def test_a_missing_recording_is_refused(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    teacher = RecordingTeacher(str(tmp_path / "absent.jsonl"), tokenizer=tokenizer)
    with pytest.raises(TeacherError, match=r"recording \S*absent\.jsonl: .*No such file .*check teach\."):
        ask_teacher(teacher, [make_problem("11+22=?")], mode=Mode.SHORT, max_tokens=8, seed=0)
