"""Thinking aloud along a worked solution: nothing invented, every calculation again, the answer at the end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from schemas.configs.presets import PresetSource
from schemas.configs.recorded_teachers import WorkedSolutionsTeacher
from schemas.configs.teach import TeacherSide
from schemas.mode import Mode
from tests.real_data import real_data
from tests.specimens import make_problem
from thinkless_core.problems.problem_set import normalise
from thinkless_core.problems.problem_sources import read_source
from thinkless_core.teachers.asking import DroppedAnswer, ask_teacher
from thinkless_core.teachers.worked_solutions import think_aloud

SOLUTION = "48/2 = <<48/2=24>>24 in May.\n48+24 = <<48+24=72>>72 in all.\n#### 72"


def test_every_calculation_is_done_again_before_the_answer() -> None:
    assert think_aloud(SOLUTION, rechecks=1) == (
        "Let me think. 48/2 = 24 in May.\n48+24 = 72 in all.\nLet me check. 48/2 is 24. 48+24 is 72.\nSo it is 72."
        "</think>The answer is \\boxed{72}."
    )
    assert think_aloud(SOLUTION, rechecks=2).count("48+24 is 72.") == 2  # type: ignore[union-attr]


@pytest.mark.parametrize("solution", ["#### 72", "no mark", "It is so.\n####", ""])
def test_a_solution_without_steps_or_value_gives_no_thought(solution: str) -> None:
    assert think_aloud(solution, rechecks=1) is None


def test_a_solution_without_marked_calculations_is_thought_through_without_a_check() -> None:
    assert think_aloud("Seven.\n#### 7", rechecks=3) == (
        "Let me think. Seven.\nSo it is 7.</think>The answer is \\boxed{7}."
    )


def test_the_teacher_drops_what_its_source_does_not_hold(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    path = tmp_path / "solved.jsonl"
    path.write_text(json.dumps({"question": "Clips?", "answer": SOLUTION}) + "\n")
    source = PresetSource(name="gsm8k", path=str(path))
    side = TeacherSide(teacher=WorkedSolutionsTeacher(source=source), max_tokens=1000)
    teacher, dropped = side.teacher.build(tokenizer=tokenizer, scratch=tmp_path / "scratch"), list[DroppedAnswer]()
    problems = [make_problem("Clips?", answer="72"), make_problem("Unknown?", answer="1")]
    (answer,) = ask_teacher(teacher, problems, mode=Mode.THINK, max_tokens=1000, seed=0, on_drop=dropped.append)
    teacher.close()
    assert answer.correct
    assert answer.mode is Mode.THINK
    assert answer.teacher == "worked_solutions:gsm8k"
    assert [d.reason for d in dropped] == ["not_recorded"]


def test_the_thoughts_about_gsm8k_are_right_and_longer_than_its_solutions(tokenizer: PreTrainedTokenizerFast) -> None:
    source = PresetSource(name="gsm8k", path=str(real_data("gsm8k_train.jsonl")), limit=300)
    problems = [
        make_problem(normalise(p.prompt), answer=p.answer) for p in read_source(source, name="p", seed=0).problems
    ]
    lengths = {}
    for mode in Mode:
        side = TeacherSide(teacher=WorkedSolutionsTeacher(source=source), max_tokens=10_000)
        teacher = side.teacher.build(tokenizer=tokenizer)
        answers = ask_teacher(teacher, problems, mode=mode, max_tokens=10_000, seed=0)
        teacher.close()
        assert len(answers) == 300
        assert all(a.correct for a in answers)
        lengths[mode] = sum(a.num_tokens for a in answers)
    assert lengths[Mode.THINK] > 1.3 * lengths[Mode.SHORT]
